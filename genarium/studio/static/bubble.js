// One reply in a conversation, with others in its place: of two, the person says which is better and continues with it.

import { duration, facts, shortName } from "./artefact.js";
import { api } from "./api.js";
import { button, el } from "./dom.js";
import { editable } from "./edit.js";
import { again, follow, stop } from "./job.js";
import { rating } from "./rating.js";
import { say } from "./say.js";

export class Bubble {
  constructor() {
    this.replies = [];
    this.onchoose = () => {};
    this.taken = null; // the reply that the conversation continues with
    this.versions = el("div", { class: "versions" });
    this.element = el("div", { class: "turn assistant" }, el("p", { class: "who" }, "Model"), this.versions);
  }

  /** Follow the job that writes a reply; null, or why none came. */
  async follow(job) {
    const words = el("p", { class: "prose forming" });
    const state = el("p", { class: "facts" }, "waiting ", button("Stop", () => stop(job).catch(() => {}), { class: "quiet" }));
    const place = el("div", { class: "version" }, words, state);
    this.versions.append(place);
    const end = await follow(job, {
      writing: ({ text }) => words.append(text),
      progress: ({ stage, about }) => (state.firstChild.textContent = `${stage} ${about ?? ""} `),
      note: ({ text }) => state.before(el("p", { class: "help" }, text)),
    });
    place.remove();
    if (!end.result) return end.error?.message ?? `The reply was ${end.status}.`;
    const { artefacts, model, seconds, seed } = end.result;
    this.finish(artefacts[0], { model, seconds, seed });
    say(`${shortName(model)} replied in ${duration(seconds)}.`, { seen: false });
    return null;
  }

  /** Show a finished reply, beside those that are there. */
  finish(reply, told) {
    this.replies.push(reply);
    const better = this.replies.length > 1;
    const text = editable(reply, "chat", (said) => el("p", { class: "prose" }, said), (said) => this.edited(reply, said));
    const doings = el("div", { class: "actions" }, rating(reply, reply.ratings));
    const more = el("div", { class: "doings" });
    more.append(
      text.edit,
      button("Another reply", () => this.another(reply), { title: "The same with another seed" }),
      el("a", { class: "button", href: `#/artefact/${reply.id}` }, "Recipe"),
    );
    doings.append(more);
    this.versions.append(
      el("div", { class: "version", "data-artefact": reply.id }, text.element, el("p", { class: "facts" }, facts(told)), doings),
    );
    this.take(reply);
    if (better) this.offer();
  }

  /** The conversation continues with this reply, as it was edited where it was. */
  take(reply) {
    this.taken = reply;
    this.onchoose({ ...reply, text: reply.edits?.at(-1)?.text ?? reply.text });
  }

  edited(reply, text) {
    reply.edits = [...(reply.edits ?? []), { text }];
    if (this.taken === reply) this.take(reply);
  }

  async another(reply) {
    try {
      const problem = await this.follow(await again(reply.id, { seed: null }));
      if (problem) say(problem);
    } catch (error) {
      say(error.message);
    }
  }

  /** Every version gets a button that says it is the better one. */
  offer() {
    this.versions.classList.add("many");
    for (const [place, one] of [...this.versions.querySelectorAll(".version")].entries()) {
      if (one.querySelector(".better")) continue;
      one.append(button("This is better: continue with it", () => this.choose(place), { class: "better" }));
    }
  }

  async choose(place) {
    const chosen = this.replies[place];
    const all = this.versions.querySelectorAll(".version");
    try {
      for (const other of this.replies) {
        if (other !== chosen) await api("/v1/feedback", { method: "POST", json: { chosen: chosen.id, rejected: other.id } });
      }
      for (const [at, one] of all.entries()) one.classList.toggle("chosen", at === place);
      this.take(chosen);
      say("Kept. The conversation continues with this reply.");
    } catch (error) {
      say(error.message);
    }
  }
}
