// Orders: each asks first, and says what will happen.

import { ask } from "/dashboard/line.js";
import { add, announce, at, openDialog, write } from "/dashboard/page.js";

/**
 * Asks whether to send an order, sends it, and says what came of it.
 *
 * `title` and `verb` name it, `what` says what it does; `to` are the hosts that it may name;
 * without `reason` none can be given.
 */
export function order({ title, verb, what, path, body = {}, to = null, reason = true }) {
  const dialog = at("order");
  const submit = dialog.querySelector("[type=submit]");
  const refusal = at("order-refusal");
  write(at("order-title"), title);
  write(at("order-what"), what);
  write(submit, verb);
  refusal.hidden = true;
  at("order-reason").value = "";
  at("order-reason-label").hidden = !reason;
  at("order-to-label").hidden = !to;
  at("order-to").replaceChildren();
  (to ?? []).forEach((host) => write(add(at("order-to"), "option"), host));
  submit.disabled = false;
  const done = () => {
    dialog.close();
    document.dispatchEvent(new Event("soloist:done"));
  };
  openDialog(dialog, async () => {
    submit.disabled = true;
    write(submit, "Wait…");
    const by = reason ? { by: "dashboard", reason: at("order-reason").value } : {};
    const named = to ? { to: at("order-to").value } : {};
    const sent = { ...body, ...by, ...named };
    const answer = await ask("POST", path, Object.keys(sent).length ? sent : null).catch(
      (error) => ({ ok: false, data: { detail: error.message } }),
    );
    submit.disabled = false;
    write(submit, verb);
    if (answer.ok) {
      announce(answer.data.done ?? `${verb}: begun`);
      done();
      return;
    }
    const { detail, help } = answer.data;
    write(refusal, help ? `${detail}. ${help}` : detail);
    refusal.hidden = false;
  });
}
