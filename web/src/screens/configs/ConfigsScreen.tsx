import { useQuery } from "@tanstack/react-query";
import { Link, useParams } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { getJson, request } from "../../api/client";
import { shortInstrument } from "../../api/runs";
import type { components } from "../../api/schema";
import { buttonClass, Copy, Dash, Hash, Panel, ScreenHead, Tag, useTitle } from "../../components/basics";
import { flat, SettingsTable } from "../../components/SettingsTable";
import { Empty, Loaded, Skeleton } from "../../components/states";

type Configs = components["schemas"]["Configs"];

/** Run configurations: which there are and what is wrong with them; one of them, whole. */
export function ConfigsScreen(): ReactNode {
  const { name } = useParams({ strict: false }) as { name?: string };
  return name ? <One name={name} /> : <All />;
}

function All(): ReactNode {
  useTitle("Configs");
  const query = useQuery({ queryKey: ["configs"], queryFn: ({ signal }) => getJson<Configs>("/api/configs", signal) });
  return (
    <div className="flex flex-col gap-3 p-3">
      <ScreenHead title="Configs" command="odum config validate" />
      <Loaded query={query} place={<Skeleton className="h-64" />}>
        {({ configs, problems }) => (
          <Panel>
            {problems.map((one) => (
              <p key={one} className="text-warn">
                ⚠ {one}
              </p>
            ))}
            {configs.length ? (
              <table className="plain-table">
                <thead>
                  <tr>
                    <th scope="col">Configuration</th>
                    <th scope="col">Instrument</th>
                    <th scope="col">Valid</th>
                    <th scope="col">Hash</th>
                    <th scope="col">
                      <span className="sr-only">Actions</span>
                    </th>
                  </tr>
                </thead>
                <tbody>
                  {configs.map((one) => (
                    <tr key={one.name}>
                      <td>
                        <Link to="/configs/$name" params={{ name: one.name }} className="text-accent hover:underline">
                          {one.name}
                        </Link>
                      </td>
                      <td>{one.instrument ? <span title={one.instrument}>{shortInstrument(one.instrument)}</span> : <Dash why="of several instruments, or not readable" />}</td>
                      <td>
                        {one.valid ? <span className="text-good">✓ valid</span> : <Tag tone="bad">invalid</Tag>}
                        {one.problems.map((problem) => (
                          <p key={problem} className="breaks text-bad">
                            {problem}
                          </p>
                        ))}
                      </td>
                      <td>
                        <Hash value={one.hash} />
                      </td>
                      <td className="text-right whitespace-nowrap">
                        <Link to="/" search={{ config: one.name } as never} className={buttonClass("quiet", true)}>
                          Runs
                        </Link>
                        {one.valid && (
                          <Link to="/launch" search={{ config: one.name } as never} className={buttonClass("plain", true)}>
                            Launch…
                          </Link>
                        )}
                      </td>
                    </tr>
                  ))}
                </tbody>
              </table>
            ) : (
              <Empty title="There are no configurations" command="odum init ." />
            )}
          </Panel>
        )}
      </Loaded>
    </div>
  );
}

function One({ name }: { name: string }): ReactNode {
  useTitle(name);
  const query = useQuery({ queryKey: ["config", name], queryFn: async ({ signal }) => (await request(`/api/configs/${encodeURIComponent(name)}`, { signal })).text() });
  return (
    <div className="flex flex-col gap-3 p-3">
      <ScreenHead title={name} command={`odum config show ${name}`}>
        <Link to="/" search={{ config: name } as never} className={buttonClass("plain", true)}>
          Its runs
        </Link>
        <Link to="/launch" search={{ config: name } as never} className={buttonClass("primary", true)}>
          Launch…
        </Link>
      </ScreenHead>
      <Loaded query={query} place={<Skeleton className="h-96" />}>
        {(text) => (
          <Panel title="As it is stored" aside={<Copy text={text} label="the configuration as JSON">Copy as JSON</Copy>}>
            <SettingsTable rows={flat(JSON.parse(text))} />
          </Panel>
        )}
      </Loaded>
    </div>
  );
}
