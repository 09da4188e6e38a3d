import { useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { loadLineage, type LineageNode } from "../../api/lineage";
import type { WholeRun } from "../../api/runs";
import { Dash, Hash, Known, Tag, type Tone } from "../../components/basics";
import { Loaded, Skeleton } from "../../components/states";
import { count, decimal, words } from "../../lib/format";

const STAGES: [string, string[]][] = [
  ["Raw files", ["raw", "input"]],
  ["Catalog partitions", ["catalog"]],
  ["Configuration, strategy, versions", ["config", "options", "strategy", "version"]],
  ["Result", ["digest", "pnl"]],
];

const NOW: Record<string, [string, Tone, string]> = {
  same: ["= same now", "good", "What is there now has the same hash"],
  changed: ["≠ changed", "warn", "What is there now is not what the run used"],
  gone: ["∅ gone", "bad", "It is not there any more"],
};

/** From the raw file to the PnL, each with its hash, and whether it is still the same. */
export function LineageTab({ run }: { run: WholeRun }): ReactNode {
  const query = useQuery({ queryKey: ["lineage", run.run_id, run.digest], queryFn: ({ signal }) => loadLineage(run.run_id, signal) });
  return (
    <Loaded query={query} place={<Skeleton className="h-72" />}>
      {({ nodes, account }) => {
        const rest = nodes.filter((node) => !STAGES.some(([, kinds]) => kinds.includes(node.kind)));
        const changed = nodes.filter((node) => node.now === "changed" || node.now === "gone").length;
        return (
          <div className="flex flex-col gap-4 px-1">
            <p>
              {changed === 0 ? <span className="text-good">✓ Everything that can be compared is the same now.</span> : <span className="text-warn">⚠ {changed} of {nodes.length} are not what the run used.</span>}{" "}
              {account.start !== null && (
                <span className="text-quiet">
                  Account: {decimal(account.start)} {account.currency} at the start, {decimal(account.final)} at the end; the engine's own account differs by {decimal(account.difference)}.
                </span>
              )}
            </p>
            {[...STAGES.map(([title, kinds]) => [title, nodes.filter((node) => kinds.includes(node.kind))] as const), ["Other", rest] as const]
              .filter(([, list]) => list.length)
              .map(([title, list], at) => (
                <section key={title}>
                  <h3 className="mb-1 font-semibold">
                    {at > 0 && (
                      <span aria-hidden="true" className="mr-1 text-quiet">
                        ↓
                      </span>
                    )}
                    {title}
                  </h3>
                  <NodeTable nodes={list} />
                </section>
              ))}
          </div>
        );
      }}
    </Loaded>
  );
}

function NodeTable({ nodes }: { nodes: LineageNode[] }): ReactNode {
  const hasRows = nodes.some((node) => node.rows_in != null || node.rows_written != null);
  return (
    <div className="overflow-x-auto">
      <table className="plain-table">
        <thead>
          <tr>
            <th scope="col" className="w-40">Kind</th>
            <th scope="col">Name</th>
            <th scope="col" className="w-32">SHA-256</th>
            {hasRows && ["Rows in", "Written", "Rejected"].map((name) => <th key={name} scope="col" className="num w-24">{name}</th>)}
            <th scope="col" className="w-28">Now</th>
          </tr>
        </thead>
        <tbody>
          {nodes.map((node) => (
            <tr key={`${node.kind} ${node.name} ${node.sha256}`}>
              <td>{words(node.kind)}</td>
              <td className="breaks">{node.name}{node.detail && <span className="block text-[12px] text-quiet">{node.detail}</span>}</td>
              <td><Hash value={node.sha256} /></td>
              {hasRows && (
                <>
                  <td className="num"><Known value={node.rows_in} why="not counted there">{count(node.rows_in)}</Known></td>
                  <td className="num"><Known value={node.rows_written} why="not counted there">{count(node.rows_written)}</Known></td>
                  <td className="num">{node.rejected ? <span className="text-warn" title={Object.entries(node.rejected_by ?? {}).map(([reason, number]) => `${reason}: ${number}`).join("\n")}>{count(node.rejected)}</span> : <Known value={node.rejected} why="not counted there">0</Known>}</td>
                </>
              )}
              <td><Now now={node.now} /></td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Now({ now }: { now: string | null | undefined }): ReactNode {
  if (!now) return <Dash why="there is nothing to compare it with" />;
  const [label, tone, title] = NOW[now] ?? [now, "neutral" as Tone, now];
  return <Tag tone={tone} title={title}>{label}</Tag>;
}
