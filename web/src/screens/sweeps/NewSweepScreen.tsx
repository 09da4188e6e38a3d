import { useQuery } from "@tanstack/react-query";
import { useEffect, type ReactNode } from "react";
import { getJson } from "../../api/client";
import { loadRun } from "../../api/runs";
import type { components } from "../../api/schema";
import { useUrl } from "../../app/search";
import { ScreenHead, useTitle } from "../../components/basics";
import { Failure } from "../../components/states";
import { canBeSwept } from "./grid";
import { RunsSweep } from "./RunsSweep";
import { Field } from "./starting";
import { VectorizedSweep } from "./VectorizedSweep";

type Configs = components["schemas"]["Configs"];

const KINDS = [["runs", "Runs over one day"], ["vectorized", "Vectorized over bars"]] as const;

/** Start a sweep: variants that are runs, or a grid that the Numba kernel runs over bars. */
export function NewSweepScreen(): ReactNode {
  useTitle("New sweep");
  const [search, setUrl] = useUrl();
  const configs = useQuery({ queryKey: ["configs"], queryFn: ({ signal }) => getJson<Configs>("/api/configs", signal) });
  const from = useQuery({ queryKey: ["run", search.from], queryFn: ({ signal }) => loadRun(search.from!, signal), enabled: !!search.from && !search.config });
  useEffect(() => {
    if (!from.data) return;
    const { config_name: config, partition, window_start, detail } = from.data;
    const day = /^\d{4}-\d\d-\d\d$/.test(partition) ? partition : window_start?.slice(0, 10);
    setUrl({ from: undefined, config, day, mode: detail === "fast" ? "fast" : undefined });
  }, [from.data, setUrl]);
  const config = useQuery({
    queryKey: ["config", search.config],
    queryFn: ({ signal }) => getJson<Record<string, unknown>>(`/api/configs/${encodeURIComponent(search.config!)}`, signal),
    enabled: !!search.config,
    retry: false,
  });
  const kind = search.kind === "vectorized" ? "vectorized" : "runs";
  const Form = kind === "vectorized" ? VectorizedSweep : RunsSweep;
  return (
    <div className="flex flex-col gap-3 p-3">
      <ScreenHead title="New sweep" />
      {configs.error ? <Failure error={configs.error} retry={() => void configs.refetch()} /> : null}
      <Form config={config.data}>
        <Field label="Configuration" className="min-w-64 flex-1">
          <select className="field w-full" value={search.config ?? ""} onChange={(event) => setUrl({ config: event.target.value || undefined, instrument: undefined })}>
            <option value="">Choose one</option>
            {configs.data?.configs.map((one) => (
              <option key={one.name} value={one.name} disabled={!one.valid}>
                {one.name}
                {one.valid ? "" : " (invalid)"}
              </option>
            ))}
          </select>
        </Field>
        {(kind === "vectorized" || (config.data !== undefined && canBeSwept(config.data))) && (
          <fieldset className="flex basis-full flex-wrap gap-x-3">
            <legend className="label mb-1">What runs the variants</legend>
            {KINDS.map(([id, label]) => (
              <label key={id} className="flex min-h-[24px] items-center gap-1.5">
                <input type="radio" className="accent-accent" name="kind" checked={kind === id} onChange={() => setUrl({ kind: id === "runs" ? undefined : id, best: undefined })} />
                {label}
              </label>
            ))}
          </fieldset>
        )}
      </Form>
    </div>
  );
}
