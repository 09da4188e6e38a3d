import type { ReactNode } from "react";

/** Paths of a JSON document, and the value of each as text. */
export function flat(value: unknown, path = ""): [string, string][] {
  if (value !== null && typeof value === "object" && !Array.isArray(value) && Object.keys(value).length) {
    return Object.entries(value).flatMap(([name, inner]) => flat(inner, path ? `${path}.${name}` : name));
  }
  return [[path, typeof value === "string" ? value : JSON.stringify(value)]];
}

/** Settings by path; null is said, not left empty. */
export function SettingsTable({ rows }: { rows: [string, string][] }): ReactNode {
  return (
    <table className="plain-table">
      <tbody>
        {rows.map(([path, value]) => (
          <tr key={path}>
            <th scope="row" className="mono w-[38%] font-normal">
              {path}
            </th>
            <td className="breaks">{value === "null" ? <span className="text-quiet">null</span> : value}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
