import { createHash } from "node:crypto";
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import react from "@vitejs/plugin-react";
import tailwindcss from "@tailwindcss/vite";
import { defineConfig, type Plugin } from "vite";

const here = import.meta.dirname;
const out = join(here, "../odum_assets/api/page");

/** Files that a build depends on, relative, sorted by name. */
function sources(folder: string): string[] {
  return readdirSync(folder)
    .filter((name) => !["node_modules", ".vite", "openapi.json"].includes(name))
    .flatMap((name) => {
      const path = join(folder, name);
      return statSync(path).isDirectory() ? sources(path) : [relative(here, path)];
    })
    .sort();
}

/** Write what the sources were, so that a test can tell an old build. */
function stamp(): Plugin {
  return {
    name: "build-json",
    apply: "build",
    closeBundle() {
      const hash = createHash("sha256");
      for (const name of sources(here)) {
        const content = createHash("sha256").update(readFileSync(join(here, name))).digest("hex");
        hash.update(`${name.replaceAll("\\", "/")} ${content}\n`);
      }
      writeFileSync(join(out, "build.json"), `${JSON.stringify({ sources_sha256: hash.digest("hex") })}\n`);
    },
  };
}

/** Tell start.js which parts the screen of a run has: they load beside the program, not after it. */
function early(): Plugin {
  const screens = ["screens/run/RunScreen.tsx", "screens/run/ChartTab.tsx"];
  return {
    name: "early-parts",
    apply: "build",
    transformIndexHtml: {
      order: "post",
      handler(html, { bundle }) {
        const chunks = Object.values(bundle ?? {}).filter((one) => one.type === "chunk");
        const withImports = (name: string): string[] => [name, ...(chunks.find((one) => one.fileName === name)?.imports ?? []).flatMap(withImports)];
        const found = screens.flatMap((screen) => chunks.filter((one) => one.facadeModuleId?.endsWith(screen)).flatMap((one) => withImports(one.fileName)));
        const missing = [...new Set(found)].filter((name) => !html.includes(`/${name}"`)).map((name) => `/${name}`);
        return html.replace(`src="/start.js"`, `src="/start.js" data-run="${missing.join(" ")}"`);
      },
    },
  };
}

export default defineConfig({
  plugins: [react(), tailwindcss(), early(), stamp()],
  build: {
    outDir: out,
    emptyOutDir: true,
    target: "es2023",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 800,
  },
  server: { proxy: { "/api": "http://127.0.0.1:8000" } },
  test: { include: ["src/**/*.test.ts"] },
} as Parameters<typeof defineConfig>[0]);
