import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useMemo, useState, type ReactNode } from "react";
import { request } from "../../api/client";
import { saveNote, useNote, type Note } from "../../api/notes";
import { loadArtifacts, resultQuery } from "../../api/result";
import type { WholeRun } from "../../api/runs";
import { Button, Copy, Tag } from "../../components/basics";
import { flat, SettingsTable } from "../../components/SettingsTable";
import { Empty, Failure, Loaded, Skeleton } from "../../components/states";
import { bytes } from "../../lib/format";

const place = <Skeleton className="h-64" />;

/** The run's configuration and options, as they were. */
export function ConfigTab({ run }: { run: WholeRun }): ReactNode {
  const query = useQuery({ ...resultQuery(run), enabled: run.status === "succeeded" });
  const [filter, setFilter] = useState("");
  const rows = useMemo(() => {
    const config = query.data?.metadata.config;
    const options: Record<string, unknown> = { options: run.params, ...(config ?? {}) };
    return flat(options).filter(([path, value]) => `${path} ${value}`.toLowerCase().includes(filter.toLowerCase()));
  }, [query.data, run.params, filter]);
  const text = JSON.stringify(query.data?.metadata.config ?? run.params, null, 2);
  return (
    <div className="flex flex-col gap-2 px-1">
      <div className="flex flex-wrap items-center gap-3">
        <input data-filter className="field w-64" placeholder="Filter settings  ( / )" aria-label="Filter settings" value={filter} onChange={(event) => setFilter(event.target.value)} />
        <Copy text={text} label="the configuration as JSON">
          Copy as JSON
        </Copy>
        <span className="text-quiet">
          hash <Copy text={run.config_hash} label="the configuration's hash" className="mono">{run.config_hash.slice(0, 12)}</Copy>
        </span>
      </div>
      <div className="max-h-[calc(100dvh-12rem)] overflow-auto" tabIndex={0} role="region" aria-label="Settings">
        <SettingsTable rows={rows} />
        {rows.length === 0 && <Empty title="No setting fits" />}
      </div>
    </div>
  );
}

const SHOWN_LINES = 2_000;

/** What the strategy printed and logged. */
export function LogTab({ run }: { run: WholeRun }): ReactNode {
  const query = useQuery({
    queryKey: ["log", run.run_id, run.digest],
    queryFn: async ({ signal }) => (await request(`/api/v1/runs/${run.run_id}/log?lines=${SHOWN_LINES}`, { signal })).text(),
    staleTime: 10_000,
  });
  const [filter, setFilter] = useState("");
  return (
    <Loaded query={query} place={place}>
      {(text) => {
        const lines = text.split("\n").filter((line) => line.toLowerCase().includes(filter.toLowerCase()));
        if (!text.trim()) return <Empty title="The log is empty">The strategy printed and logged nothing.</Empty>;
        return (
          <div className="flex flex-col gap-2 px-1">
            <div className="flex items-center gap-3">
              <input data-filter className="field w-64" placeholder="Filter lines  ( / )" aria-label="Filter lines" value={filter} onChange={(event) => setFilter(event.target.value)} />
              <Copy text={text} label="the log">Copy</Copy>
              <a className="text-accent hover:underline" href={`/api/v1/runs/${run.run_id}/log`}>
                whole log
              </a>
            </div>
            <pre tabIndex={0} role="region" aria-label="Log" className="mono max-h-[calc(100dvh-12rem)] overflow-auto rounded bg-raised p-2 whitespace-pre-wrap">
              {lines.join("\n")}
            </pre>
          </div>
        );
      }}
    </Loaded>
  );
}

/** Files that the run made. */
export function FilesTab({ run }: { run: WholeRun }): ReactNode {
  const query = useQuery({ queryKey: ["files", run.run_id, run.digest], queryFn: ({ signal }) => loadArtifacts(run.run_id, signal) });
  return (
    <Loaded query={query} place={place}>
      {({ artifacts }) =>
        artifacts.length ? (
          <table className="plain-table mx-1">
            <thead>
              <tr>
                <th scope="col">File</th>
                <th scope="col">Kind</th>
                <th scope="col" className="num">Size</th>
                <th scope="col">Below the folder of results</th>
              </tr>
            </thead>
            <tbody>
              {artifacts.map((file) => (
                <tr key={file.storage_path}>
                  <td>
                    <a className="text-accent hover:underline" href={file.link} download={file.kind === "report" ? undefined : file.filename}>
                      {file.filename}
                    </a>
                  </td>
                  <td>{file.kind}</td>
                  <td className="num">{bytes(file.size_bytes)}</td>
                  <td className="breaks">
                    <Copy text={file.storage_path} className="mono text-quiet" />
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        ) : (
          <Empty title="The run has no files" />
        )
      }
    </Loaded>
  );
}

/** Tags, a note and a star, kept in a file beside the result. */
export function NoteTab({ run }: { run: WholeRun }): ReactNode {
  const client = useQueryClient();
  const query = useNote(run.run_id);
  const [text, setText] = useState<string | null>(null);
  const [tag, setTag] = useState("");
  const [problem, setProblem] = useState<unknown>(null);
  const save = async (change: Partial<Note>) => {
    setProblem(null);
    try {
      await saveNote(client, run.run_id, query.data!, change);
      if (change.text !== undefined) setText(null);
    } catch (error) {
      setProblem(error);
    }
  };
  return (
    <Loaded query={query} place={place}>
      {({ note }) => (
        <div className="flex max-w-3xl flex-col gap-3 px-1">
          {problem ? (
            <Failure
              error={problem}
              compact
              retry={() => {
                setProblem(null);
                void query.refetch();
              }}
            />
          ) : null}
          <div className="flex flex-wrap items-center gap-2">
            <span className="label">Tags</span>
            {note.tags.map((one) => (
              <Tag key={one} tone="accent">
                {one}
                <button type="button" aria-label={`Remove the tag ${one}`} onClick={() => void save({ tags: note.tags.filter((other) => other !== one) })}>
                  ✕
                </button>
              </Tag>
            ))}
            <form
              onSubmit={(event) => {
                event.preventDefault();
                if (tag.trim()) void save({ tags: [...new Set([...note.tags, tag.trim()])] }).then(() => setTag(""));
              }}
            >
              <input className="field w-40" placeholder="Add a tag" aria-label="Add a tag" value={tag} onChange={(event) => setTag(event.target.value)} />
            </form>
          </div>
          <label className="flex flex-col gap-1">
            <span className="label">Note</span>
            <textarea className="field h-48 py-2" value={text ?? note.text} onChange={(event) => setText(event.target.value)} />
          </label>
          <div>
            <Button kind="primary" disabled={text === null || text === note.text} onClick={() => void save({ text: text ?? "" })}>
              Save note
            </Button>
          </div>
        </div>
      )}
    </Loaded>
  );
}
