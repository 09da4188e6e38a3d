/** Screens of the navigation, and the letter after g. */
export const SCREENS = [
  { to: "/", label: "Runs", key: "r" },
  { to: "/sweeps", label: "Sweeps", key: "s" },
  { to: "/launch", label: "Launch", key: "l" },
  { to: "/data", label: "Data", key: "d" },
  { to: "/configs", label: "Configs", key: "c" },
] as const;
