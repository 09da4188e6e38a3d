import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useState, type ReactNode } from "react";
import { ApiError, getJson, sendJson, watchRefusals } from "../api/client";
import type { components } from "../api/schema";
import { Button } from "../components/basics";
import { Modal } from "../components/overlays";
import { Failure } from "../components/states";

type Session = components["schemas"]["Session"];

/** Ends the session, where there is one. */
export function LogOut(): ReactNode {
  const session = useQuery({ queryKey: ["session"], queryFn: ({ signal }) => getJson<Session>("/api/session", signal), staleTime: Infinity });
  if (!session.data?.token_needed || !session.data.open) return null;
  const end = async () => {
    await sendJson("DELETE", "/api/session");
    // Loaded again: nothing of the session stays in the page.
    window.location.assign("/");
  };
  return (
    <Button kind="quiet" onClick={() => void end()}>
      Log out
    </Button>
  );
}

/** Asks for the token where the service has one: it is traded for a cookie, and kept nowhere. */
export function Login(): ReactNode {
  const client = useQueryClient();
  const [open, setOpen] = useState(false);
  const [token, setToken] = useState("");
  const [problem, setProblem] = useState<unknown>(null);
  useEffect(() => watchRefusals(() => setOpen(true)), []);
  const begin = async () => {
    setProblem(null);
    try {
      await sendJson("POST", "/api/session", { token });
      setToken("");
      setOpen(false);
      await client.resetQueries();
    } catch (error) {
      setProblem(error instanceof ApiError && error.status === 401 ? new Error("This is not the token of the service.") : error);
    }
  };
  return (
    <Modal open={open} onOpenChange={setOpen} title="Log in">
      <form
        className="flex flex-col gap-3"
        onSubmit={(event) => {
          event.preventDefault();
          void begin();
        }}
      >
        <label className="flex flex-col gap-1">
          <span className="label">Token of the service (ODUM_API_TOKEN)</span>
          <input className="field" type="password" autoComplete="off" autoFocus value={token} onChange={(event) => setToken(event.target.value)} />
        </label>
        {problem ? <Failure error={problem} compact /> : null}
        <div>
          <Button type="submit" kind="primary" disabled={!token}>
            Log in
          </Button>
        </div>
      </form>
    </Modal>
  );
}
