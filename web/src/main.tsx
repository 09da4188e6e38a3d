import "./app/trusted";
import "./app/styles.css";
import { CSPProvider } from "@base-ui/react/csp-provider";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { ApiError } from "./api/client";
import { makeRouter } from "./router";
// Part of the program: tabs are the frame of every run, whose screen has a budget of its own.
import "./components/Tabs";

const client = new QueryClient({
  defaultOptions: {
    queries: {
      // A refusal stays one; who does not answer may come back.
      retry: (failures, error) => error instanceof ApiError && error.isAway && failures < 6,
      retryDelay: (attempt) => Math.min(500 * 2 ** attempt, 10_000),
      refetchOnWindowFocus: false,
      staleTime: 30_000,
      networkMode: "always",
    },
    mutations: { networkMode: "always" },
  },
});

createRoot(document.getElementById("root")!).render(
  <StrictMode>
    <CSPProvider disableStyleElements>
      <QueryClientProvider client={client}>
        <RouterProvider router={makeRouter(client)} />
      </QueryClientProvider>
    </CSPProvider>
  </StrictMode>,
);
