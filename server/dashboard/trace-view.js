// A whole trace on a page: its head, its tree with a slider that replays its growth, one node in detail, candidates, votes.
//
// EspalierTrace.mount(element, trace) draws it; the trace is what GET /v1/searches/{id} gives. All text reaches the page as
// text, never as markup. Gives {seek(count), select(number), destroy()}.
"use strict";
(() => {
  const home = (globalThis.EspalierTrace ??= {});
  const CHOICES = [100, 500, 2000, Infinity]; // nodes that may be drawn
  const MOST_ROWS = 200; // candidates in the table
  const REPLAY_SECONDS = 8;

  const el = (name, attributes = {}, ...children) => {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
      if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
      else if (value === true) made.setAttribute(key, "");
      else if (value !== false && value !== null && value !== undefined) made.setAttribute(key, value);
    }
    made.append(...children.filter((child) => child !== null && child !== undefined));
    return made;
  };
  const facts = (pairs) =>
    el(
      "dl",
      { class: "facts" },
      ...pairs.map(([term, told]) => el("div", {}, el("dt", {}, term), el("dd", {}, String(told)))),
    );
  const table = (caption, heads, rows) =>
    el(
      "table",
      {},
      el("caption", {}, caption),
      el("thead", {}, el("tr", {}, ...heads.map((head) => el("th", { scope: "col" }, head)))),
      el("tbody", {}, ...rows),
    );
  const withheld = "Texts are not kept in this trace.";

  // A text with each token shaded by the model's confidence in it; plain where that is not known.
  const heat = (text, pieces, confidences) => {
    if (text === null) return el("p", { class: "quiet" }, withheld);
    if (!pieces || !confidences) return el("p", { class: "text" }, text);
    const tokens = pieces.map((piece, place) => {
      const sure = confidences[place];
      if (sure === null || sure === undefined || !piece) return document.createTextNode(piece);
      const token = el("span", { class: "token", title: `confidence ${sure.toFixed(3)}` }, piece);
      token.style.setProperty("--doubt", `${((1 - sure) * 100).toFixed(1)}%`);
      return token;
    });
    return el("p", { class: "text" }, ...tokens);
  };
  const doubts = (pieces, confidences) => {
    const known = (confidences ?? []).map((sure, place) => [sure, place]).filter(([sure]) => sure !== null);
    if (!known.length) return null;
    const mean = known.reduce((sum, [sure]) => sum + sure, 0) / known.length;
    const [least, place] = known.reduce((low, each) => (each[0] < low[0] ? each : low));
    const which = pieces?.[place] ? ` (“${home.short(pieces[place], 20)}”)` : "";
    return `mean ${mean.toFixed(2)}, lowest ${least.toFixed(2)}${which}`;
  };

  const head = (trace) => {
    const { tokens, budget } = trace;
    const began = new Date(trace.created * 1000);
    const limits = Object.entries(budget).filter(([, most]) => most !== null);
    return el(
      "header",
      {},
      el("h1", {}, trace.question ?? "A search"),
      trace.error
        ? el(
            "p",
            { class: "error" },
            trace.error.message ? `${trace.error.code}: ${trace.error.message}` : trace.error.code,
          )
        : null,
      trace.answer === null ? null : el("p", { class: "answer" }, el("strong", {}, "Answer "), trace.answer),
      trace.truncated
        ? el("p", { class: "quiet" }, "The search outgrew its room: only the beginning of its tree was kept.")
        : null,
      facts([
        ["Search", trace.id],
        ["Request", trace.request_id],
        ["Began", Number.isNaN(began.getTime()) ? trace.created : began.toISOString()],
        ["Model", trace.model],
        [
          "Strategy",
          [trace.strategy, trace.reward && `by ${trace.reward}`, trace.vote && `vote ${trace.vote}`]
            .filter(Boolean)
            .join(", "),
        ],
        ["State", trace.stop_reason ? `${trace.state}, ended by ${trace.stop_reason}` : trace.state],
        ["Budget", limits.map(([name, most]) => `${most} ${name}`).join(", ") || "none"],
        [
          "Done",
          `${trace.simulations}, in ${trace.seconds.toFixed(2)} s after ${trace.waited_seconds.toFixed(2)} s of waiting`,
        ],
        ["Tree", trace.nodes ? `${trace.nodes} nodes, ${trace.depth} deep` : "none"],
        ["Tokens", `${tokens.generated} generated, ${tokens.answer} of them in the answer; prompt ${tokens.prompt}`],
        ["Calls", `${trace.engine_calls} engine, ${trace.reward_calls} reward`],
        ["Value", home.number(trace.value)],
      ]),
      details("Prompt", promptOf(trace)),
      details("Options", el("pre", {}, JSON.stringify({ ...trace.options, ...trace.sampling }, null, 1))),
    );
  };
  const details = (title, content) => content && el("details", {}, el("summary", {}, title), content);
  const promptOf = (trace) => {
    if (trace.messages) {
      return el(
        "div",
        {},
        ...trace.messages.flatMap((turn) => [el("h3", {}, turn.role), el("p", { class: "text" }, turn.content)]),
      );
    }
    return trace.prompt === null ? null : el("p", { class: "text" }, trace.prompt);
  };

  home.mount = (element, trace) => {
    const growth = home.growth(trace);
    const byNumber = new Map(trace.tree.map((node) => [node.node, node]));
    const hasTree = trace.tree.length > 0;
    let view = null;
    let chosen = trace.tree.filter((node) => node.winning).at(-1)?.node ?? 0;
    let zoom = 1;
    let timer = 0;

    // One node, or one candidate, in detail.
    const detail = el("section", { class: "detail", "aria-label": "Details" });
    const pathTo = (node) => {
      const path = [];
      for (let at = node; at && at.parent !== null; at = byNumber.get(at.parent)) path.unshift(at);
      return path;
    };
    const showNode = (number) => {
      const node = byNumber.get(number);
      const now = growth.at(Number(slider.value)).nodes.get(number);
      if (!node) return;
      const rewards = node.rewards
        .slice(0, 12)
        .map((reward) => reward.toFixed(3))
        .join(", ");
      const path = pathTo(node);
      detail.replaceChildren(
        el("h2", {}, node.parent === null ? "The prompt" : `Node ${node.node}`),
        node.parent === null ? "" : heat(node.text, node.token_texts, node.confidences),
        facts(
          [
            ["Value", home.number(now?.visits ? now.valueSum / now.visits : null)],
            ["Visits", now?.visits ?? 0],
            ["Depth", node.depth],
            ["Prior", node.prior.toPrecision(3)],
            ["Tokens", node.tokens],
            ["Confidence", doubts(node.token_texts, node.confidences)],
            ["Rewards from here", rewards && node.rewards.length > 12 ? `${rewards}, …` : rewards],
            ["Joined", `after ${node.seconds.toFixed(3)} s`],
            ["Ends here", node.terminal ? "yes" : null],
            ["Winning path", node.winning ? "yes" : null],
          ].filter(([, told]) => told !== null && told !== ""),
        ),
        path.length > 1 && path[0].text !== null
          ? el(
              "details",
              {},
              el("summary", {}, "The whole path"),
              el("p", { class: "text" }, ...path.map((each) => each.text)),
            )
          : "",
      );
    };
    const showCandidate = (one) => {
      detail.replaceChildren(
        el("h2", {}, `Candidate ${one.candidate}`),
        heat(one.text, one.token_texts, one.confidences),
        facts(
          [
            ["Answer", one.answer ?? "–"],
            ["Reward", home.number(one.reward)],
            ["Step rewards", one.step_rewards.map((reward) => reward.toFixed(3)).join(", ")],
            ["Confidence", doubts(one.token_texts, one.confidences)],
            ["Visits", one.visits],
            ["Finished", one.finished === null ? null : one.finished ? "yes" : "no, cut by a limit"],
            ["Place", one.winner === null ? null : `winner ${one.winner + 1}`],
          ].filter(([, told]) => told !== null && told !== ""),
        ),
      );
    };

    // The slider, and what it says.
    const slider = el("input", {
      type: "range",
      min: "0",
      max: String(growth.length),
      value: String(growth.length),
      step: "1",
      id: "growth",
      oninput: () => seek(Number(slider.value)),
    });
    const moment = el("output", { for: "growth" });
    const play = el("button", { type: "button", onclick: () => (timer ? stop() : start()) }, "Replay");
    const stop = () => {
      clearInterval(timer);
      timer = 0;
      play.textContent = "Replay";
    };
    const start = () => {
      if (Number(slider.value) >= growth.length) seek(0);
      play.textContent = "Stop";
      const step = Math.max(1, Math.round(growth.length / (REPLAY_SECONDS * 10)));
      timer = setInterval(() => {
        seek(Math.min(growth.length, Number(slider.value) + step));
        if (Number(slider.value) >= growth.length) stop();
      }, 100);
    };
    const seek = (count) => {
      slider.value = String(count);
      const state = growth.at(count);
      const told = `event ${count} of ${growth.length}, ${state.seconds.toFixed(2)} s, ${state.simulations} done`;
      moment.textContent = told;
      slider.setAttribute("aria-valuetext", told);
      view?.show(state);
      rows.forEach((row, place) => row.classList.toggle("unborn", (found[place] ?? 0) >= state.candidates));
      if (hasTree && selected === "node") showNode(chosen);
    };

    // Candidates and votes.
    let selected = "node";
    const ranked = [...trace.candidates]
      .sort(
        (a, b) =>
          (a.winner ?? Infinity) - (b.winner ?? Infinity) ||
          (b.reward ?? 0) - (a.reward ?? 0) ||
          a.candidate - b.candidate,
      )
      .slice(0, MOST_ROWS);
    const found = ranked.map((one) => one.candidate);
    const rows = ranked.map((one) =>
      el(
        "tr",
        { class: one.winner === null ? "" : "winning" },
        el(
          "td",
          {},
          el(
            "button",
            { type: "button", onclick: () => openCandidate(one) },
            `${one.candidate}${one.winner === 0 ? " ★ winner" : ""}`,
          ),
        ),
        el("td", {}, one.answer === null ? "–" : home.short(one.answer, 60)),
        el("td", { class: "num" }, home.number(one.reward)),
        el("td", { class: "num" }, String(one.visits ?? "–")),
        el("td", {}, home.short(one.text, 80)),
      ),
    );
    const openCandidate = (one) => {
      if (one.node !== null) view?.select(one.node);
      selected = "candidate"; // choosing its node showed that
      showCandidate(one);
      detail.scrollIntoView({ block: "nearest" });
    };
    const heaviest = Math.max(1e-9, ...trace.votes.map((vote) => vote.weight));
    const votes = trace.votes.map((vote, place) =>
      el(
        "tr",
        { class: place ? "" : "winning" },
        el(
          "td",
          {},
          vote.answer === null ? (trace.texts ? "(no answer)" : `answer ${place + 1}`) : home.short(vote.answer, 60),
        ),
        el(
          "td",
          {},
          el("meter", {
            min: "0",
            max: String(heaviest),
            value: String(vote.weight),
            "aria-label": `weight ${vote.weight.toFixed(3)}`,
          }),
        ),
        el("td", { class: "num" }, vote.weight.toFixed(3)),
        el("td", { class: "num" }, String(vote.count)),
      ),
    );

    // The tree.
    const canvas = el("div", { class: "canvas" });
    const most = el(
      "select",
      { id: "most", onchange: () => drawTree() },
      ...CHOICES.filter((choice, place) => !place || CHOICES[place - 1] < trace.tree.length).map((choice) =>
        el(
          "option",
          { value: String(choice) },
          choice >= trace.tree.length ? `all ${trace.tree.length}` : `${choice} most visited`,
        ),
      ),
    );
    const zoomed = (factor) => {
      zoom = Math.min(3, Math.max(0.1, zoom * factor));
      view.scale(zoom);
    };
    const bring = (number) => {
      const { x, y } = view.place(number);
      canvas.scrollTo(x * zoom - canvas.clientWidth / 2, y * zoom - canvas.clientHeight / 2);
    };
    const drawTree = () => {
      const shown = home.shown(trace, Number(most.value));
      if (!shown.some((node) => node.node === chosen)) chosen = shown[0].node;
      view = home.treeView(shown, (number) => {
        chosen = number;
        selected = "node";
        showNode(number);
      });
      view.scale(zoom);
      canvas.replaceChildren(view.element);
      view.select(chosen);
      bring(chosen);
      view.show(growth.at(Number(slider.value)));
    };

    element.classList.add("espalier-trace");
    element.replaceChildren(
      head(trace),
      el(
        "div",
        { class: "replay", role: "group", "aria-label": "Growth" },
        play,
        el("label", { for: "growth" }, "Growth"),
        slider,
        moment,
      ),
      el(
        "div",
        { class: "panes" },
        hasTree
          ? el(
              "section",
              { class: "tree", "aria-label": "Tree" },
              el(
                "div",
                { class: "tools" },
                el("label", { for: "most" }, "Nodes"),
                most,
                el("button", { type: "button", "aria-label": "Smaller", onclick: () => zoomed(0.8) }, "−"),
                el("button", { type: "button", "aria-label": "Larger", onclick: () => zoomed(1.25) }, "+"),
                el(
                  "span",
                  { class: "legend" },
                  "value 0 ",
                  el("span", { class: "scale", "aria-hidden": "true" }),
                  " 1; the larger, the more visits; arrow keys walk the tree",
                ),
              ),
              canvas,
            )
          : el("p", { class: "quiet" }, "This strategy grows no tree."),
        detail,
      ),
      rows.length
        ? el(
            "section",
            {},
            table(
              rows.length < trace.candidates.length
                ? `Candidates, the first ${rows.length} of ${trace.candidates.length}`
                : "Candidates",
              ["Candidate", "Answer", "Reward", "Visits", "Text"],
              rows,
            ),
          )
        : "",
      votes.length ? el("section", {}, table("Votes", ["Answer", "", "Weight", "Candidates"], votes)) : "",
    );
    if (hasTree) drawTree();
    else if (ranked.length) {
      selected = "candidate";
      showCandidate(ranked[0]);
    }
    seek(growth.length);
    return {
      seek,
      select: (number) => view?.select(number),
      destroy: () => {
        stop();
        element.replaceChildren();
      },
    };
  };
})();
