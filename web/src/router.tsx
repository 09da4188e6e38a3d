import type { QueryClient } from "@tanstack/react-query";
import { createRootRoute, createRoute, createRouter, lazyRouteComponent, redirect } from "@tanstack/react-router";
import { Shell } from "./app/Shell";
import { Empty, Failure, Skeleton } from "./components/states";
import { parseSearch, stringifySearch } from "./lib/url";
import { RunsScreen } from "./screens/runs/RunsScreen";

const root = createRootRoute({
  component: Shell,
  notFoundComponent: () => <Empty title="There is no such page">Everything starts at the list of runs: press g r.</Empty>,
  errorComponent: ({ error }) => (
    <div className="p-4">
      <Failure error={error} retry={() => window.location.reload()} />
    </div>
  ),
});

/** Screens: one folder each under screens/, loaded when they are opened, except the first. */
const routes = [
  createRoute({ getParentRoute: () => root, path: "/", component: RunsScreen }),
  createRoute({ getParentRoute: () => root, path: "/runs/$runId", component: lazyRouteComponent(() => import("./screens/run/RunScreen"), "RunScreen") }),
  createRoute({ getParentRoute: () => root, path: "/compare", component: lazyRouteComponent(() => import("./screens/compare/CompareScreen"), "CompareScreen") }),
  createRoute({ getParentRoute: () => root, path: "/launch", component: lazyRouteComponent(() => import("./screens/launch/LaunchScreen"), "LaunchScreen") }),
  createRoute({ getParentRoute: () => root, path: "/data", component: lazyRouteComponent(() => import("./screens/data/DataScreen"), "DataScreen") }),
  createRoute({ getParentRoute: () => root, path: "/configs", component: lazyRouteComponent(() => import("./screens/configs/ConfigsScreen"), "ConfigsScreen") }),
  createRoute({ getParentRoute: () => root, path: "/configs/$name", component: lazyRouteComponent(() => import("./screens/configs/ConfigsScreen"), "ConfigsScreen") }),
  createRoute({ getParentRoute: () => root, path: "/sweeps", component: lazyRouteComponent(() => import("./screens/sweeps/SweepList"), "SweepList") }),
  createRoute({ getParentRoute: () => root, path: "/sweeps/new", component: lazyRouteComponent(() => import("./screens/sweeps/NewSweepScreen"), "NewSweepScreen") }),
  createRoute({ getParentRoute: () => root, path: "/sweeps/$sweepId", component: lazyRouteComponent(() => import("./screens/sweeps/SweepScreen"), "SweepScreen") }),
  createRoute({ getParentRoute: () => root, path: "/run", beforeLoad: () => { throw redirect({ to: "/launch" }); } }),
  createRoute({ getParentRoute: () => root, path: "/definitions", beforeLoad: () => { throw redirect({ to: "/configs" }); } }),
];

export function makeRouter(client: QueryClient) {
  return createRouter({
    routeTree: root.addChildren(routes),
    context: { client } as never,
    parseSearch: (text) => parseSearch(text.replace(/^\?/, "")),
    stringifySearch,
    defaultPreload: "intent",
    defaultPendingComponent: () => <Skeleton className="m-3 h-64" />,
    scrollRestoration: true,
  });
}

declare module "@tanstack/react-router" {
  interface Register {
    router: ReturnType<typeof makeRouter>;
  }
}
