/** Asks for the gateway's token where it wants one. */
import { useEffect, useRef } from "preact/hooks";
import { keepToken, token } from "../api/http.js";
import { tokenWanted } from "../state/known.js";
import { reconnect } from "../state/live.js";
import { useStore } from "../state/store.js";

export function TokenDialog() {
  const wanted = useStore(tokenWanted);
  const dialog = useRef<HTMLDialogElement>(null);
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => {
    if (wanted && dialog.current && !dialog.current.open) dialog.current.showModal();
    if (!wanted) dialog.current?.close();
  }, [wanted]);
  const submit = (event: Event) => {
    event.preventDefault();
    keepToken(input.current?.value.trim() || null);
    if (input.current) input.current.value = "";
    tokenWanted.set(false);
    reconnect();
  };
  return (
    <dialog ref={dialog} aria-labelledby="token-title" onCancel={(event) => event.preventDefault()}>
      <form onSubmit={submit}>
        <h2 id="token-title">This gateway wants a token</h2>
        <p class="help">
          {token() ? "It did not accept the one that was given. " : ""}It is kept until this tab is closed, and sent to this gateway alone.
        </p>
        <div class="field">
          <label for="token">Token</label>
          <input ref={input} id="token" type="password" autocomplete="off" required />
        </div>
        <button type="submit" class="primary">
          Go on
        </button>
      </form>
    </dialog>
  );
}
