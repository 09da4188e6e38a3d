import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useRef, useState, type ReactNode } from "react";
import { getJson, sendJson } from "../../api/client";
import { AsCommand, Button, Panel } from "../../components/basics";
import { Failure, Loaded, Skeleton } from "../../components/states";
import { Figure, figureName } from "./figures";
import { textOf, type Sweep, type Variant } from "./state";

/** A variant of the Numba kernel: all of its figures, and the way to a run of NautilusTrader. */
export function VectorizedVariant({ sweep, number, onClose }: { sweep: Sweep; number: number; onClose(): void }): ReactNode {
  const navigate = useNavigate();
  const [problem, setProblem] = useState<unknown>(null);
  const key = useRef(crypto.randomUUID());
  const query = useQuery({
    queryKey: ["variant", sweep.id, number],
    queryFn: ({ signal }) => getJson<Sweep>(`/api/v1/sweeps/${encodeURIComponent(sweep.id)}?where=number:${number}&limit=1`, signal),
  });
  const replay = async (variant: Variant) => {
    const { first_close: first, last_close: last } = sweep.facts as { first_close: string; last_close: string };
    const body = { config: sweep.config, first_day: first.slice(0, 10), last_day: last.slice(0, 10), window: true, overrides: variant.varied };
    try {
      const { data } = await sendJson<{ run_id: string }>("POST", "/api/v1/runs", body, { "Idempotency-Key": key.current });
      void navigate({ to: "/runs/$runId", params: { runId: data.run_id } });
    } catch (error) {
      setProblem(error);
    }
  };
  return (
    <Panel title={`Variant ${number}`} aside={<Button small kind="quiet" aria-label="Close the variant" onClick={onClose}>✕</Button>}>
      <Loaded query={query} place={<Skeleton className="h-24" />}>
        {({ rows: [variant] }) =>
          variant ? (
            <div className="flex flex-col gap-2">
              <dl className="flex flex-wrap gap-x-6 gap-y-1">
                {sweep.axes.map((axis) => (
                  <div key={axis.path}>
                    <dt className="label">{axis.name}</dt>
                    <dd className="font-medium">{textOf(variant.varied[axis.path])}</dd>
                  </div>
                ))}
                {sweep.figures.map((name) => (
                  <div key={name}>
                    <dt className="label">{figureName(name)}</dt>
                    <dd title={String(variant.figures[name] ?? "null")}>
                      <Figure name={name} value={variant.figures[name]} />
                    </dd>
                  </div>
                ))}
              </dl>
              <div className="flex flex-wrap items-center gap-3">
                <Button onClick={() => void replay(variant)}>Run it in NautilusTrader</Button>
                <AsCommand command={`odum vsweep ${sweep.config} ${sweep.axes.map((axis) => `--${axis.name.replace("_", "-")} ${textOf(variant.varied[axis.path])}`).join(" ")} --verify 1`} />
              </div>
              {problem ? <Failure error={problem} /> : null}
            </div>
          ) : (
            <p className="text-quiet">There is no variant {number}.</p>
          )
        }
      </Loaded>
    </Panel>
  );
}
