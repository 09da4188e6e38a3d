"""Assets by factory, one module per stage: raw (external), catalog, backtest, export."""
