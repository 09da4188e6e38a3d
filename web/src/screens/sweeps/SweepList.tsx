import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { getJson } from "../../api/client";
import { isActive, shortInstrument } from "../../api/runs";
import type { components } from "../../api/schema";
import { useZone } from "../../app/search";
import { buttonClass, Dash, Panel, ScreenHead, Status, Tag, useTitle } from "../../components/basics";
import { Empty, Loaded, Skeleton } from "../../components/states";
import { count, shortConfig } from "../../lib/format";
import { formatNs, parseNs } from "../../lib/ns";

type Sweeps = components["schemas"]["Sweeps"];
/** All sweeps, newest first. */
export function SweepList(): ReactNode {
  useTitle("Sweeps");
  const zone = useZone();
  const query = useQuery({
    queryKey: ["sweeps"],
    queryFn: ({ signal }) => getJson<Sweeps>("/api/v1/sweeps?limit=200", signal),
    refetchInterval: ({ state }) => (state.data?.sweeps.some(isActive) ? 2_000 : 15_000),
  });
  return (
    <div className="flex flex-col gap-3 p-3">
      <ScreenHead title="Sweeps" command={`curl ${window.location.origin}/api/v1/sweeps`}>
        <Link to="/sweeps/new" className={buttonClass("primary", true)}>
          New sweep
        </Link>
      </ScreenHead>
      <Loaded query={query} place={<Skeleton className="h-64" />}>
        {({ sweeps, total }) => (
          <Panel className="overflow-x-auto">
            {sweeps.length ? (
              <table className="plain-table">
                <thead>
                  <tr>
                    <th scope="col">Sweep</th>
                    <th scope="col">Config</th>
                    <th scope="col">Instrument</th>
                    <th scope="col">Day</th>
                    <th scope="col">Status</th>
                    <th scope="col" className="num">Variants</th>
                    <th scope="col">Created</th>
                  </tr>
                </thead>
                <tbody>
                  {sweeps.map((one) => (
                    <tr key={one.id}>
                      <td>
                        <Link to="/sweeps/$sweepId" params={{ sweepId: one.id }} className="mono text-accent hover:underline">
                          {one.id}
                        </Link>{" "}
                        {one.kind === "vectorized" && <Tag title="The Numba kernel ran it over bars">vectorized</Tag>}
                      </td>
                      <td title={one.config}>{shortConfig(one.config)}</td>
                      <td>{shortInstrument(one.instrument)}</td>
                      <td>{one.partition ?? <Dash why="over several sessions" />}</td>
                      <td><Status status={one.status} /></td>
                      <td className="num">{one.variants === 0 && isActive(one) ? <Dash why="known with the first variant" /> : count(one.variants)}</td>
                      <td>{one.created_at ? formatNs(parseNs(one.created_at) ?? 0n, zone, 0) : <Dash />}</td>
                    </tr>
                  ))}
                </tbody>
              </table>
            ) : (
              <Empty title="There are no sweeps yet" command="odum sweep CONFIG --day DAY --vary PATH=VALUE,VALUE">
                A sweep runs variants of one configuration over the same day. New sweep, above, starts one.
              </Empty>
            )}
            {total > sweeps.length && <p className="label pt-2">The newest {count(sweeps.length)} of {count(total)}.</p>}
          </Panel>
        )}
      </Loaded>
    </div>
  );
}
