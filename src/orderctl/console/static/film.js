// Plays a schedule of the simulation in the picture of the pipeline.
"use strict";

(() => {
  const LINES_SHOWN = 12;
  const LINES_ON_A_CARD = 5;
  const MOMENT_MS = 220;
  const COLUMNS = { orders: 1, payments: 2, reservations: 3 };
  const STATUSES = ["placed", "confirmed", "cancelled"];

  const film = document.getElementById("film");
  const byId = (id) => document.getElementById(id);
  const controls = ["play", "back", "step", "fault", "position"].map(byId);
  const [play, back, step, fault, position] = controls;
  let moments = [];
  let now = 0;
  let timer = null;

  fetch(film.dataset.story)
    .then((answer) => (answer.ok ? answer.json() : Promise.reject(new Error("could not be run"))))
    .then(begin)
    .catch((error) => verdict(`The schedule cannot be shown: ${error.message}.`, "bad"));

  function begin(story) {
    moments = story.lines;
    position.max = String(moments.length - 1);
    for (const control of controls) control.disabled = false;
    verdict(
      story.violation ? `A rule notices: ${story.violation}` : "Everything holds at the end.",
      story.violation ? "bad" : "good",
    );
    show(0);
  }

  function verdict(text, tone) {
    byId("verdict").textContent = text;
    byId("verdict").className = `notice ${tone}`;
  }

  function show(index) {
    now = Math.min(Math.max(index, 0), moments.length - 1);
    const moment = moments[now];
    position.value = String(now);
    byId("moment").textContent = `${moment.at.toFixed(2)} s · ${now + 1} of ${moments.length}`;
    byId("lines").replaceChildren(...recent(() => true, LINES_SHOWN).map(line));
    books();
    cards(moment);
    if (moment.types && moment.step) move(moment);
  }

  // The newest moments up to now that fit, newest first.
  function recent(fits, most) {
    const found = [];
    for (let index = now; index >= 0 && found.length < most; index--) {
      if (fits(moments[index])) found.push(moments[index]);
    }
    return found;
  }

  function element(name, text, kind) {
    const made = document.createElement(name);
    made.textContent = text;
    if (kind) made.className = kind;
    return made;
  }

  function line(moment) {
    const made = element("li", "", moment.fault ? "failed" : "");
    made.append(
      element("span", `${moment.at.toFixed(2)} s`, "time"),
      element("span", moment.who, "type"),
      element("span", moment.what),
    );
    return made;
  }

  function books() {
    const orders = new Map();
    for (const { book } of moments.slice(0, now + 1)) {
      if (!book || !(book[0] in COLUMNS)) continue;
      const [table, key, states] = book;
      const row = orders.get(key) ?? ["", "", ""];
      const known = states.filter((state) => table !== "orders" || STATUSES.includes(state));
      if (known.length) row[COLUMNS[table] - 1] = known[known.length - 1];
      orders.set(key, row);
    }
    const rows = [...orders].sort(([a], [b]) => a.localeCompare(b, "en", { numeric: true }));
    byId("books").replaceChildren(
      ...rows.map(([key, cells]) => {
        const row = document.createElement("tr");
        const head = element("th", key);
        head.scope = "row";
        row.append(head, ...cells.map((cell) => element("td", cell || "-")));
        return row;
      }),
    );
  }

  function cards(moment) {
    for (const card of film.querySelectorAll(".card")) {
      const mine = card.dataset.step;
      card.classList.toggle("active", mine === moment.step);
      card.classList.toggle("bad", mine === moment.step && Boolean(moment.fault));
      const said = recent((each) => each.step === mine, LINES_ON_A_CARD);
      const places = card.querySelectorAll(".label");
      places.forEach((place, number) => {
        const each = said[number];
        place.textContent = each ? shortened(each.what) : "";
        place.classList.toggle("failed", Boolean(each?.fault));
      });
    }
  }

  function shortened(text) {
    return text.length > 24 ? `${text.slice(0, 23)}…` : text;
  }

  function move(moment) {
    for (const type of moment.types) {
      window.consoleDots?.(type, moment.step);
    }
  }

  function pause() {
    clearInterval(timer);
    timer = null;
    play.textContent = "Play";
  }

  play.addEventListener("click", () => {
    if (timer) {
      pause();
      return;
    }
    if (now === moments.length - 1) show(0);
    play.textContent = "Pause";
    timer = setInterval(() => (now < moments.length - 1 ? show(now + 1) : pause()), MOMENT_MS);
  });
  step.addEventListener("click", () => (pause(), show(now + 1)));
  back.addEventListener("click", () => (pause(), show(now - 1)));
  position.addEventListener("input", () => (pause(), show(Number(position.value))));
  fault.addEventListener("click", () => {
    pause();
    const next = moments.findIndex((moment, index) => index > now && moment.fault);
    if (next > 0) show(next);
  });
})();
