BEGIN TRANSACTION;
CREATE TABLE artifacts (
	id INTEGER NOT NULL, 
	run_id INTEGER NOT NULL, 
	kind VARCHAR(7) NOT NULL, 
	filename VARCHAR(255) NOT NULL, 
	storage_path VARCHAR(512) NOT NULL, 
	mime_type VARCHAR(127) NOT NULL, 
	size_bytes BIGINT NOT NULL, 
	created_at DATETIME NOT NULL, 
	PRIMARY KEY (id), 
	CONSTRAINT uq_artifacts_path UNIQUE (run_id, storage_path), 
	CONSTRAINT ck_artifacts_nonnegative_size CHECK (size_bytes >= 0), 
	FOREIGN KEY(run_id) REFERENCES runs (id) ON DELETE CASCADE, 
	CONSTRAINT artifact_kind CHECK (kind IN ('plot', 'report', 'csv', 'pickle', 'json', 'parquet'))
);
INSERT INTO "artifacts" VALUES(1,1,'json','BNF_BTC_20240305_00000000_c51985_30631b.json','fast/BNF_BTC_20240305_00000000_c51985_30631b.json','application/json',8613,'2026-11-28 05:28:55.000000');
INSERT INTO "artifacts" VALUES(2,1,'parquet','equity.parquet','report/BNF_BTC_20240305_00000000_c51985_30631b/equity.parquet','application/vnd.apache.parquet',3763,'2026-11-28 05:28:55.000000');
INSERT INTO "artifacts" VALUES(3,1,'parquet','fills.parquet','report/BNF_BTC_20240305_00000000_c51985_30631b/fills.parquet','application/vnd.apache.parquet',4408,'2026-11-28 05:28:55.000000');
INSERT INTO "artifacts" VALUES(4,1,'json','metadata.json','report/BNF_BTC_20240305_00000000_c51985_30631b/metadata.json','application/json',4318,'2026-11-28 05:28:55.000000');
INSERT INTO "artifacts" VALUES(5,1,'json','orders.json','report/BNF_BTC_20240305_00000000_c51985_30631b/orders.json','application/json',1284,'2026-11-28 05:28:55.000000');
INSERT INTO "artifacts" VALUES(6,1,'parquet','orders.parquet','report/BNF_BTC_20240305_00000000_c51985_30631b/orders.parquet','application/vnd.apache.parquet',5207,'2026-11-28 05:28:55.000000');
INSERT INTO "artifacts" VALUES(7,1,'parquet','positions.parquet','report/BNF_BTC_20240305_00000000_c51985_30631b/positions.parquet','application/vnd.apache.parquet',5022,'2026-11-28 05:28:55.000000');
INSERT INTO "artifacts" VALUES(8,1,'json','summary.json','report/BNF_BTC_20240305_00000000_c51985_30631b/summary.json','application/json',8613,'2026-11-28 05:28:55.000000');
INSERT INTO "artifacts" VALUES(9,1,'json','timeline.json','report/BNF_BTC_20240305_00000000_c51985_30631b/timeline.json','application/json',1560,'2026-11-28 05:28:55.000000');
INSERT INTO "artifacts" VALUES(10,2,'json','BN_BTC_20240305_00000000_6097b8_44778e.json','fast/BN_BTC_20240305_00000000_6097b8_44778e.json','application/json',8525,'2026-11-28 05:28:55.000000');
INSERT INTO "artifacts" VALUES(11,3,'json','BN_BTC_20240305_00000000_6097b8_4c6c80.json','fast/BN_BTC_20240305_00000000_6097b8_4c6c80.json','application/json',9073,'2026-11-28 05:28:55.000000');
INSERT INTO "artifacts" VALUES(12,3,'parquet','equity.parquet','report/BN_BTC_20240305_00000000_6097b8_4c6c80/equity.parquet','application/vnd.apache.parquet',4352,'2026-11-28 05:28:55.000000');
INSERT INTO "artifacts" VALUES(13,3,'parquet','fills.parquet','report/BN_BTC_20240305_00000000_6097b8_4c6c80/fills.parquet','application/vnd.apache.parquet',4482,'2026-11-28 05:28:55.000000');
INSERT INTO "artifacts" VALUES(14,3,'json','metadata.json','report/BN_BTC_20240305_00000000_6097b8_4c6c80/metadata.json','application/json',4740,'2026-11-28 05:28:55.000000');
INSERT INTO "artifacts" VALUES(15,3,'json','orders.json','report/BN_BTC_20240305_00000000_6097b8_4c6c80/orders.json','application/json',1141,'2026-11-28 05:28:55.000000');
INSERT INTO "artifacts" VALUES(16,3,'parquet','orders.parquet','report/BN_BTC_20240305_00000000_6097b8_4c6c80/orders.parquet','application/vnd.apache.parquet',4654,'2026-11-28 05:28:55.000000');
INSERT INTO "artifacts" VALUES(17,3,'parquet','positions.parquet','report/BN_BTC_20240305_00000000_6097b8_4c6c80/positions.parquet','application/vnd.apache.parquet',4858,'2026-11-28 05:28:55.000000');
INSERT INTO "artifacts" VALUES(18,3,'json','summary.json','report/BN_BTC_20240305_00000000_6097b8_4c6c80/summary.json','application/json',9073,'2026-11-28 05:28:55.000000');
INSERT INTO "artifacts" VALUES(19,3,'json','timeline.json','report/BN_BTC_20240305_00000000_6097b8_4c6c80/timeline.json','application/json',1455,'2026-11-28 05:28:55.000000');
INSERT INTO "artifacts" VALUES(20,4,'json','BNF_BTC_20240305_00000000_99a518_fbe1d5.json','failed/BNF_BTC_20240305_00000000_99a518_fbe1d5.json','application/json',3474,'2026-11-28 07:30:16.980287');
CREATE TABLE datasets (
	id INTEGER NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	description TEXT, 
	content_hash VARCHAR(64) NOT NULL, 
	instrument VARCHAR(128) NOT NULL, 
	symbols JSON NOT NULL, 
	timeframe VARCHAR(20) NOT NULL, 
	start_date DATETIME NOT NULL, 
	end_date DATETIME NOT NULL, 
	row_count BIGINT NOT NULL, 
	rejected_count BIGINT NOT NULL, 
	partitions JSON NOT NULL, 
	created_at DATETIME NOT NULL, 
	PRIMARY KEY (id), 
	CONSTRAINT uq_datasets_hash UNIQUE (content_hash), 
	CONSTRAINT ck_datasets_valid_daterange CHECK (start_date < end_date), 
	CONSTRAINT ck_datasets_hash_length CHECK (length(content_hash) = 64), 
	CONSTRAINT ck_datasets_counts CHECK (row_count >= 0 AND rejected_count >= 0), 
	CONSTRAINT ck_datasets_nonempty_symbols CHECK (json_array_length(symbols) > 0 AND instr(symbols, '""') = 0 AND instr(symbols, 'null') = 0)
);
INSERT INTO "datasets" VALUES(1,'BINANCE-FUTURES:PERPETUAL:BTC-USDT 2024-03-05',NULL,'f0a848ecfa0b8fc6b2a0000e20dcf167a8b4dccc3eb450beb4ee388718efeb1a','BINANCE-FUTURES:PERPETUAL:BTC-USDT','["BTC-USDT"]','tick','2024-03-05 00:00:00.000000','2024-03-06 00:00:00.000000',5,0,'[{"data_type": "trades", "day": "2024-03-05", "rows": 5, "rejected": 0, "digest": "4b9a0eb0bf5668415d2f4e4a19595bc661f0b6ac1425f1bbbb3e4c0df196d437"}]','2026-11-28 01:21:47.143000');
INSERT INTO "datasets" VALUES(2,'BINANCE:SPOT_PAIR:BTC-USDT 2024-03-05',NULL,'b478c234a4620ee3e5939bf8cf55fbd736bac0b5d0ebca40492cb72246e4153d','BINANCE:SPOT_PAIR:BTC-USDT','["BTC-USDT"]','tick','2024-03-05 00:00:00.000000','2024-03-06 00:00:00.000000',4,0,'[{"data_type": "trades", "day": "2024-03-05", "rows": 4, "rejected": 0, "digest": "d8092125a654fc64fde359f84b9fa1eb23db110ce46da597b211bfae4836759e"}]','2026-11-28 01:21:45.311000');
INSERT INTO "datasets" VALUES(3,'BINANCE:SPOT_PAIR:BTC-USDT 2024-03-05..2024-03-07',NULL,'505ad55a2730eaa68cfbaf718d018526927133a9425e61e8dfd02c8298ebe514','BINANCE:SPOT_PAIR:BTC-USDT','["BTC-USDT"]','tick','2024-03-05 00:00:00.000000','2024-03-08 00:00:00.000000',8,0,'[{"data_type": "trades", "day": "2024-03-05", "rows": 4, "rejected": 0, "digest": "d8092125a654fc64fde359f84b9fa1eb23db110ce46da597b211bfae4836759e"}, {"data_type": "trades", "day": "2024-03-07", "rows": 4, "rejected": 0, "digest": "afe27abb83c005a7a0efb313efafbba0778ef4d5c8452eb03aced9770efe6955"}]','2026-11-28 01:21:43.152000');
CREATE TABLE events (
	run_id INTEGER NOT NULL, 
	sequence INTEGER NOT NULL, 
	event_type VARCHAR(50) NOT NULL, 
	timestamp DATETIME NOT NULL, 
	payload JSON NOT NULL, 
	PRIMARY KEY (run_id, sequence), 
	CONSTRAINT ck_events_sequence CHECK (sequence >= 0), 
	FOREIGN KEY(run_id) REFERENCES runs (id) ON DELETE CASCADE
)
 WITHOUT ROWID

;
INSERT INTO "events" VALUES(1,0,'market_start','2024-03-05 00:00:10.000000','{"ts": "2024-03-05T00:00:10Z"}');
INSERT INTO "events" VALUES(1,1,'market_end','2024-03-05 22:13:21.000000','{"ts": "2024-03-05T22:13:21Z"}');
INSERT INTO "events" VALUES(1,2,'metric','2026-11-28 01:21:47.143000','{"rows_replayed": 5, "replay_secs": 0.063, "accounting_secs": 0.024, "peak_memory_mib": 253}');
INSERT INTO "events" VALUES(1,3,'refusal','2026-11-28 01:21:47.143000','{"reason": "INITIAL_MARGIN_EXCEEDS_FREE_BALANCE", "orders": 2}');
INSERT INTO "events" VALUES(1,4,'warning','2026-11-28 01:21:47.143000','{"text": "Equity fell below zero; margin calls and liquidation are not simulated."}');
INSERT INTO "events" VALUES(1,5,'warning','2026-11-28 01:21:47.143000','{"text": "2 orders were denied; see refusals for the reasons."}');
INSERT INTO "events" VALUES(1,6,'warning','2026-11-28 01:21:47.143000','{"text": "1 trade rows had no aggressor side and sent no order."}');
INSERT INTO "events" VALUES(1,7,'warning','2026-11-28 01:21:47.143000','{"text": "Funding is not charged: no funding data are configured."}');
INSERT INTO "events" VALUES(1,8,'succeeded','2026-11-28 01:21:47.143000','{"digest": "509b9d7947e9f005d56595657f750e9b867f984205fa7100a4484950497ad07b"}');
INSERT INTO "events" VALUES(2,0,'market_start','2024-03-05 00:00:10.000000','{"ts": "2024-03-05T00:00:10Z"}');
INSERT INTO "events" VALUES(2,1,'market_end','2024-03-05 22:13:20.000000','{"ts": "2024-03-05T22:13:20Z"}');
INSERT INTO "events" VALUES(2,2,'metric','2026-11-28 01:21:45.311000','{"rows_replayed": 4, "replay_secs": 0.101, "accounting_secs": 0.024, "peak_memory_mib": 259}');
INSERT INTO "events" VALUES(2,3,'warning','2026-11-28 01:21:45.311000','{"text": "A position of 0.02 is still open (closing was switched off); it is worth -73.33333333 USDT unrealized."}');
INSERT INTO "events" VALUES(2,4,'warning','2026-11-28 01:21:45.311000','{"text": "1 trade rows had no aggressor side and sent no order."}');
INSERT INTO "events" VALUES(2,5,'succeeded','2026-11-28 01:21:45.311000','{"digest": "73d0ffe4835e7702319e6c61e5c4837ae61a8fa99420e44fb4cf4ebf74825848"}');
INSERT INTO "events" VALUES(3,0,'market_start','2024-03-05 00:00:10.000000','{"ts": "2024-03-05T00:00:10Z"}');
INSERT INTO "events" VALUES(3,1,'market_end','2024-03-07 19:28:20.000000','{"ts": "2024-03-07T19:28:20Z"}');
INSERT INTO "events" VALUES(3,2,'metric','2026-11-28 01:21:43.152000','{"rows_replayed": 8, "replay_secs": 0.292, "accounting_secs": 0.032, "peak_memory_mib": 275}');
INSERT INTO "events" VALUES(3,3,'warning','2026-11-28 01:21:43.152000','{"text": "A position of 0.01 is still open (closing was switched off); it is worth -2.66666667 USDT unrealized."}');
INSERT INTO "events" VALUES(3,4,'warning','2026-11-28 01:21:43.152000','{"text": "4 trade rows had no aggressor side and sent no order."}');
INSERT INTO "events" VALUES(3,5,'succeeded','2026-11-28 01:21:43.152000','{"digest": "661235b021348dc5604a8b142cb2089827a1572eab6ce0312ee0b021e1cd6a02"}');
INSERT INTO "events" VALUES(4,0,'failed','2026-11-28 07:30:16.969000','{"type": "ValueError", "message": "no data"}');
CREATE TABLE registry_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT registry_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "registry_version" VALUES('0003');
CREATE TABLE runs (
	id INTEGER NOT NULL, 
	run_id VARCHAR(64) NOT NULL, 
	status VARCHAR(9) NOT NULL, 
	run_mode VARCHAR(8) NOT NULL, 
	detail VARCHAR(16) NOT NULL, 
	config_name VARCHAR(255) NOT NULL, 
	config_hash VARCHAR(64) NOT NULL, 
	partition VARCHAR(32) NOT NULL, 
	instrument VARCHAR(128) NOT NULL, 
	dataset_id INTEGER, 
	strategy_id INTEGER, 
	digest VARCHAR(64), 
	dagster_run_id VARCHAR(64), 
	sweep_id VARCHAR(80), 
	executed_at DATETIME NOT NULL, 
	window_start DATETIME, 
	window_end DATETIME, 
	progress DOUBLE, 
	phase VARCHAR(255), 
	updated_at DATETIME, 
	error TEXT, 
	error_type VARCHAR(128), 
	currency VARCHAR(16), 
	initial_capital DOUBLE, 
	final_balance DOUBLE, 
	final_value DOUBLE, 
	lowest_value DOUBLE, 
	pnl DOUBLE, 
	realized DOUBLE, 
	unrealized DOUBLE, 
	commissions DOUBLE, 
	funding DOUBLE, 
	drawdown_amount DOUBLE, 
	expectancy DOUBLE, 
	total_return DOUBLE, 
	max_drawdown DOUBLE, 
	win_rate DOUBLE, 
	profit_factor DOUBLE, 
	sharpe_ratio DOUBLE, 
	sortino_ratio DOUBLE, 
	orders BIGINT, 
	fills BIGINT, 
	total_trades BIGINT, 
	winning_trades BIGINT, 
	losing_trades BIGINT, 
	break_even_trades BIGINT, 
	flag_count INTEGER, 
	params JSON NOT NULL, 
	provenance JSON NOT NULL, figures_version INTEGER, cagr DOUBLE, volatility DOUBLE, calmar_ratio DOUBLE, drawdown_duration_secs DOUBLE, 
	PRIMARY KEY (id), 
	CONSTRAINT uq_runs_run_id UNIQUE (run_id), 
	CONSTRAINT ck_runs_progress CHECK (progress >= 0 AND progress <= 1), 
	CONSTRAINT ck_runs_positive_capital CHECK (initial_capital > 0), 
	CONSTRAINT ck_runs_drawdown_sign CHECK (max_drawdown <= 0), 
	CONSTRAINT ck_runs_win_rate CHECK (win_rate >= 0 AND win_rate <= 1), 
	CONSTRAINT ck_runs_nonnegative_counts CHECK (orders >= 0 AND fills >= 0 AND total_trades >= 0 AND winning_trades >= 0 AND losing_trades >= 0 AND break_even_trades >= 0 AND flag_count >= 0), 
	CONSTRAINT ck_runs_trade_count_consistency CHECK (total_trades = winning_trades + losing_trades + break_even_trades), 
	CONSTRAINT ck_runs_succeeded_is_whole CHECK (status <> 'succeeded' OR (dataset_id IS NOT NULL AND strategy_id IS NOT NULL AND digest IS NOT NULL AND error IS NULL)), 
	CONSTRAINT ck_runs_failed_says_why CHECK (status <> 'failed' OR error IS NOT NULL), 
	CONSTRAINT ck_runs_valid_window CHECK (window_start <= window_end), 
	CONSTRAINT run_status CHECK (status IN ('queued', 'running', 'succeeded', 'failed', 'canceled')), 
	CONSTRAINT run_mode CHECK (run_mode IN ('backtest', 'paper', 'live')), 
	FOREIGN KEY(dataset_id) REFERENCES datasets (id) ON DELETE RESTRICT, 
	FOREIGN KEY(strategy_id) REFERENCES strategies (id) ON DELETE RESTRICT
);
INSERT INTO "runs" VALUES(1,'BNF_BTC_20240305_00000000_c51985_30631b','succeeded','backtest','report','binance_futures_btcusdt_l2_trades_config','c519857f733075fdee5ef67f4f1951a932602fe13b9b2140cae08c8d02745e2c','2024-03-05','BINANCE-FUTURES:PERPETUAL:BTC-USDT',1,1,'509b9d7947e9f005d56595657f750e9b867f984205fa7100a4484950497ad07b',NULL,NULL,'2026-11-28 01:21:47.143000','2024-03-05 00:00:00.000000','2024-03-05 22:13:21.000000',1.0,NULL,NULL,NULL,NULL,'USDT',1000.0,-2062.5,-2062.5,-3032.0,-3062.5,-3000.0,0.0,62.5,0.0,-5000.0,-3062.5,-3.0625,-2.540650406504,0.0,0.0,NULL,NULL,4,2,1,0,1,0,4,'{"days": ["2024-03-05"], "snapshot_mode": "trades", "close_positions": true, "exec_algorithm": {"type": "NORMAL", "params": {}}}','{"sources": [{"data_type": "trades", "day": "2024-03-05", "path": "/srv/odum/raw/raw_tick_data/by_date/day-2024-03-05/data_type-trades/BINANCE-FUTURES:PERPETUAL:BTC-USDT.parquet", "size": 1971, "sha256": "f684b29ae40c780d5aed613a8af2ed77ef483aa600683341099dcb12b8fbbd31"}], "catalog": [{"data_type": "trades", "day": "2024-03-05", "rows": 5, "rejected": 0, "digest": "4b9a0eb0bf5668415d2f4e4a19595bc661f0b6ac1425f1bbbb3e4c0df196d437"}], "volume_curve": null, "strategy_sha256": "d0647bb34579f7ab973bacf142170adf10695a7da46ee78add24d2baaeae0d10", "window": {"start_ns": null, "end_ns": null, "first_trade_ns": "1709596810000000000", "last_trade_ns": "1709676801000000000", "first_trade": "2024-03-05T00:00:10Z", "last_trade": "2024-03-05T22:13:21Z"}, "reconciliation": {"balance_change": "-3062.5", "engine_final_balance": "-2062.5", "engine_difference": "0", "engine_tolerance": "0.00000001"}, "rows_replayed": 5, "resources": {"replay_secs": 0.063, "accounting_secs": 0.024, "peak_memory_mib": 253}, "versions": {"odum_assets": "0.1.0", "nautilus_trader": "2.0.0rc7", "pyarrow": "26.0.1", "python": "3.13.0"}, "missing_days": null, "partial_days": null, "rows_repeated": null}',2,NULL,NULL,NULL,72801.000000001);
INSERT INTO "runs" VALUES(2,'BN_BTC_20240305_00000000_6097b8_44778e','succeeded','backtest','fast','binance_btcusdt_l2_trades_config','6097b8e14ae5a1a3433ad2e3d7d3c2b35d4be1899ea04c6438073aa39f6e7824','2024-03-05','BINANCE:SPOT_PAIR:BTC-USDT',2,1,'73d0ffe4835e7702319e6c61e5c4837ae61a8fa99420e44fb4cf4ebf74825848',NULL,NULL,'2026-11-28 01:21:45.311000','2024-03-05 00:00:00.000000','2024-03-05 22:13:20.000000',1.0,NULL,NULL,NULL,NULL,'USDT',1000000.0,998667.45,999887.45,999858.06,-39.21666667,-36.66666667,-73.33333333,2.55,0.0,-150.0,NULL,-0.00011255,-0.000149998791,NULL,NULL,-19.151913769204,-19.239468748437,3,3,0,0,0,0,2,'{"days": ["2024-03-05"], "snapshot_mode": "trades", "close_positions": false, "exec_algorithm": {"type": "NORMAL", "params": {}}}','{"sources": [{"data_type": "trades", "day": "2024-03-05", "path": "/srv/odum/raw/raw_tick_data/by_date/day-2024-03-05/data_type-trades/BINANCE:SPOT_PAIR:BTC-USDT.parquet", "size": 1956, "sha256": "05c2af4c6c9e4224712ea446414f6fce60ded171c650eea45a06a2fa9577ea87"}], "catalog": [{"data_type": "trades", "day": "2024-03-05", "rows": 4, "rejected": 0, "digest": "d8092125a654fc64fde359f84b9fa1eb23db110ce46da597b211bfae4836759e"}], "volume_curve": null, "strategy_sha256": "d0647bb34579f7ab973bacf142170adf10695a7da46ee78add24d2baaeae0d10", "window": {"start_ns": null, "end_ns": null, "first_trade_ns": "1709596810000000000", "last_trade_ns": "1709676800000000000", "first_trade": "2024-03-05T00:00:10Z", "last_trade": "2024-03-05T22:13:20Z"}, "reconciliation": {"balance_change": "-1332.55", "engine_final_balance": "998667.45", "engine_difference": "0", "engine_tolerance": "0.00000004"}, "rows_replayed": 4, "resources": {"replay_secs": 0.101, "accounting_secs": 0.024, "peak_memory_mib": 259}, "versions": {"odum_assets": "0.1.0", "nautilus_trader": "2.0.0rc7", "pyarrow": "26.0.1", "python": "3.13.0"}, "missing_days": null, "partial_days": null, "rows_repeated": null}',1,NULL,NULL,NULL,NULL);
INSERT INTO "runs" VALUES(3,'BN_BTC_20240305_00000000_6097b8_4c6c80','succeeded','backtest','report','binance_btcusdt_l2_trades_config','6097b8e14ae5a1a3433ad2e3d7d3c2b35d4be1899ea04c6438073aa39f6e7824','window','BINANCE:SPOT_PAIR:BTC-USDT',3,1,'661235b021348dc5604a8b142cb2089827a1572eab6ce0312ee0b021e1cd6a02',NULL,NULL,'2026-11-28 01:21:43.152000','2024-03-05 00:00:00.000000','2024-03-07 19:28:20.000000',1.0,NULL,NULL,NULL,NULL,'USDT',1000000.0,999311.805,999955.805,999858.06,-41.52833334,-38.33333334,-2.66666667,3.195,0.0,-150.0,NULL,-4.4195e-05,-0.000149998791,NULL,NULL,-3.169375780253,-3.858344990778,4,4,0,0,0,0,2,'{"days": ["2024-03-05", "2024-03-07"], "snapshot_mode": "trades", "close_positions": false, "exec_algorithm": {"type": "NORMAL", "params": {}}}','{"sources": [{"data_type": "trades", "day": "2024-03-05", "path": "/srv/odum/raw/raw_tick_data/by_date/day-2024-03-05/data_type-trades/BINANCE:SPOT_PAIR:BTC-USDT.parquet", "size": 1956, "sha256": "05c2af4c6c9e4224712ea446414f6fce60ded171c650eea45a06a2fa9577ea87"}, {"data_type": "trades", "day": "2024-03-07", "path": "/srv/odum/raw/raw_tick_data/by_date/day-2024-03-07/data_type-trades/BINANCE:SPOT_PAIR:BTC-USDT.parquet", "size": 1947, "sha256": "1a53fe9a2e0b51f02ff60dd93e11a757b3da517b7235431533485e58e61b66dd"}], "catalog": [{"data_type": "trades", "day": "2024-03-05", "rows": 4, "rejected": 0, "digest": "d8092125a654fc64fde359f84b9fa1eb23db110ce46da597b211bfae4836759e"}, {"data_type": "trades", "day": "2024-03-07", "rows": 4, "rejected": 0, "digest": "afe27abb83c005a7a0efb313efafbba0778ef4d5c8452eb03aced9770efe6955"}], "volume_curve": null, "strategy_sha256": "d0647bb34579f7ab973bacf142170adf10695a7da46ee78add24d2baaeae0d10", "window": {"start_ns": null, "end_ns": null, "first_trade_ns": "1709596810000000000", "last_trade_ns": "1709839700000000000", "first_trade": "2024-03-05T00:00:10Z", "last_trade": "2024-03-07T19:28:20Z"}, "reconciliation": {"balance_change": "-688.195", "engine_final_balance": "999311.805", "engine_difference": "0", "engine_tolerance": "0.00000006"}, "rows_replayed": 8, "resources": {"replay_secs": 0.292, "accounting_secs": 0.032, "peak_memory_mib": 275}, "versions": {"odum_assets": "0.1.0", "nautilus_trader": "2.0.0rc7", "pyarrow": "26.0.1", "python": "3.13.0"}, "missing_days": null, "partial_days": null, "rows_repeated": null}',2,NULL,0.002775073133,NULL,235700.000000001);
INSERT INTO "runs" VALUES(4,'BNF_BTC_20240305_00000000_99a518_fbe1d5','failed','backtest','report','binance_futures_btcusdt_l2_trades_config','99a518e89ceba1fdd65309ea31fba4e2ec98d41615b30760c573835d23200daa','window','BINANCE-FUTURES:PERPETUAL:BTC-USDT',NULL,NULL,NULL,NULL,NULL,'2026-11-28 07:30:16.969000','2024-03-05 00:00:00.000000','2024-03-06 00:00:00.000000',NULL,NULL,NULL,'no data','ValueError',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'{"days": ["2024-03-05"], "snapshot_mode": "both", "close_positions": true, "exec_algorithm": {"type": "NORMAL", "params": {}}}','{"request": {"run_id": "BNF_BTC_20240305_00000000_99a518_fbe1d5", "mode": "report", "instrument": "BINANCE-FUTURES:PERPETUAL:BTC-USDT", "start": "2024-03-05T00:00:00Z", "end": "2024-03-06T00:00:00Z", "metadata": {"run_id": "BNF_BTC_20240305_00000000_99a518_fbe1d5", "mode": "report", "partition": "window", "days": ["2024-03-05"], "config_name": "binance_futures_btcusdt_l2_trades_config", "config_path": "/tmp/xt_old/configs/binance_futures_btcusdt_l2_trades_config.json", "config_hash": "99a518e89ceba1fdd65309ea31fba4e2ec98d41615b30760c573835d23200daa", "config": {"instrument": {"id": "BINANCE-FUTURES:PERPETUAL:BTC-USDT", "price_precision": 1, "size_precision": 3, "multiplier": null, "margin_init": "0.01", "margin_maint": "0.005"}, "venue": {"name": "BINANCE-FUTURES", "oms_type": "NETTING", "account_type": "MARGIN", "base_currency": "USDT", "starting_balance": "1000000", "book_type": "L2_MBP", "maker_fee": "0.0002", "taker_fee": "0.0005", "leverage": "1"}, "data_catalog": {"trades_path": "raw_tick_data/by_date/day-*/data_type-trades/BINANCE-FUTURES:PERPETUAL:BTC-USDT.parquet", "book_snapshot_5_path": "raw_tick_data/by_date/day-*/data_type-book_snapshot_5/BINANCE-FUTURES:PERPETUAL:BTC-USDT.parquet", "derivative_ticker_path": null, "auto_discover": true, "instrument_file_pattern": null, "parquet_root": null}, "time_window": {"start": null, "end": null}, "strategy": {"name": "TradeReplay", "path": null, "submission_mode": "per_trade_tick", "order_type": "LIMIT", "time_in_force": "IOC", "orders": [], "exec_algorithm": {"type": "NORMAL", "params": {}}}, "execution": {"fill_model": {"prob_fill_on_limit": "1", "prob_slippage": "0", "random_seed": 42}, "latency": {"insert_ms": "0", "update_ms": "0", "cancel_ms": "0"}, "queue_position": false, "liquidity_consumption": false}, "risk": {"throttling_per_sec": null}, "environment": {"UNIFIED_CLOUD_LOCAL_PATH": null, "UNIFIED_CLOUD_SERVICES_USE_PARQUET": null, "UNIFIED_CLOUD_SERVICES_USE_DIRECT_GCS": null, "DATA_CATALOG_PATH": null}, "fx_stub": null, "data_source": "auto", "quality": {"max_reject_ratio": "0.01", "max_crossed_ratio": "0.01", "max_gap_secs": "300", "max_duplicate_ids": 0, "max_negative_latency_ratio": "0.05", "max_unknown_side_ratio": "0.01", "max_edge_gap_secs": "300", "partial_days": "warn", "missing_days": "warn"}, "metrics": {"equity_interval_secs": 60, "annualization_days": 365}}, "instrument_key": "BINANCE-FUTURES:PERPETUAL:BTC-USDT", "snapshot_mode": "both", "close_positions": true, "exec_algorithm": {"type": "NORMAL", "params": {}}, "dagster_run_id": null}}}',NULL,NULL,NULL,NULL,NULL);
INSERT INTO "runs" VALUES(5,'BNF_BTC_20240305_00000000_99a518_000001','queued','backtest','report','binance_futures_btcusdt_l2_trades_config','99a518e89ceba1fdd65309ea31fba4e2ec98d41615b30760c573835d23200daa','2024-03-05','BINANCE-FUTURES:PERPETUAL:BTC-USDT',NULL,NULL,NULL,'dagster-queued',NULL,'2026-11-28 07:30:17.066385','2024-03-05 00:00:00.000000','2024-03-06 00:00:00.000000',0.0,NULL,'2026-11-28 07:30:17.066385',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'{"days": ["2024-03-05"], "snapshot_mode": "both", "close_positions": true, "exec_algorithm": {"type": "NORMAL", "params": {}}}','{"request": {"run_id": "BNF_BTC_20240305_00000000_99a518_000001", "mode": "report", "instrument": "BINANCE-FUTURES:PERPETUAL:BTC-USDT", "start": "2024-03-05T00:00:00Z", "end": "2024-03-06T00:00:00Z", "metadata": {"run_id": "BNF_BTC_20240305_00000000_99a518_000001", "mode": "report", "partition": "2024-03-05", "days": ["2024-03-05"], "config_name": "binance_futures_btcusdt_l2_trades_config", "config_path": "/tmp/xt_old/configs/binance_futures_btcusdt_l2_trades_config.json", "config_hash": "99a518e89ceba1fdd65309ea31fba4e2ec98d41615b30760c573835d23200daa", "config": {"instrument": {"id": "BINANCE-FUTURES:PERPETUAL:BTC-USDT", "price_precision": 1, "size_precision": 3, "multiplier": null, "margin_init": "0.01", "margin_maint": "0.005"}, "venue": {"name": "BINANCE-FUTURES", "oms_type": "NETTING", "account_type": "MARGIN", "base_currency": "USDT", "starting_balance": "1000000", "book_type": "L2_MBP", "maker_fee": "0.0002", "taker_fee": "0.0005", "leverage": "1"}, "data_catalog": {"trades_path": "raw_tick_data/by_date/day-*/data_type-trades/BINANCE-FUTURES:PERPETUAL:BTC-USDT.parquet", "book_snapshot_5_path": "raw_tick_data/by_date/day-*/data_type-book_snapshot_5/BINANCE-FUTURES:PERPETUAL:BTC-USDT.parquet", "derivative_ticker_path": null, "auto_discover": true, "instrument_file_pattern": null, "parquet_root": null}, "time_window": {"start": null, "end": null}, "strategy": {"name": "TradeReplay", "path": null, "submission_mode": "per_trade_tick", "order_type": "LIMIT", "time_in_force": "IOC", "orders": [], "exec_algorithm": {"type": "NORMAL", "params": {}}}, "execution": {"fill_model": {"prob_fill_on_limit": "1", "prob_slippage": "0", "random_seed": 42}, "latency": {"insert_ms": "0", "update_ms": "0", "cancel_ms": "0"}, "queue_position": false, "liquidity_consumption": false}, "risk": {"throttling_per_sec": null}, "environment": {"UNIFIED_CLOUD_LOCAL_PATH": null, "UNIFIED_CLOUD_SERVICES_USE_PARQUET": null, "UNIFIED_CLOUD_SERVICES_USE_DIRECT_GCS": null, "DATA_CATALOG_PATH": null}, "fx_stub": null, "data_source": "auto", "quality": {"max_reject_ratio": "0.01", "max_crossed_ratio": "0.01", "max_gap_secs": "300", "max_duplicate_ids": 0, "max_negative_latency_ratio": "0.05", "max_unknown_side_ratio": "0.01", "max_edge_gap_secs": "300", "partial_days": "warn", "missing_days": "warn"}, "metrics": {"equity_interval_secs": 60, "annualization_days": 365}}, "instrument_key": "BINANCE-FUTURES:PERPETUAL:BTC-USDT", "snapshot_mode": "both", "close_positions": true, "exec_algorithm": {"type": "NORMAL", "params": {}}, "dagster_run_id": "dagster-queued"}}}',NULL,NULL,NULL,NULL,NULL);
INSERT INTO "runs" VALUES(6,'BNF_BTC_20240305_00000000_99a518_000002','running','backtest','report','binance_futures_btcusdt_l2_trades_config','99a518e89ceba1fdd65309ea31fba4e2ec98d41615b30760c573835d23200daa','2024-03-05','BINANCE-FUTURES:PERPETUAL:BTC-USDT',NULL,NULL,NULL,'dagster-running',NULL,'2026-11-28 07:30:17.089295','2024-03-05 00:00:00.000000','2024-03-06 00:00:00.000000',0.25,'replay 12:00','2026-11-28 07:30:17.107701',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'{"days": ["2024-03-05"], "snapshot_mode": "both", "close_positions": true, "exec_algorithm": {"type": "NORMAL", "params": {}}}','{"request": {"run_id": "BNF_BTC_20240305_00000000_99a518_000002", "mode": "report", "instrument": "BINANCE-FUTURES:PERPETUAL:BTC-USDT", "start": "2024-03-05T00:00:00Z", "end": "2024-03-06T00:00:00Z", "metadata": {"run_id": "BNF_BTC_20240305_00000000_99a518_000002", "mode": "report", "partition": "2024-03-05", "days": ["2024-03-05"], "config_name": "binance_futures_btcusdt_l2_trades_config", "config_path": "/tmp/xt_old/configs/binance_futures_btcusdt_l2_trades_config.json", "config_hash": "99a518e89ceba1fdd65309ea31fba4e2ec98d41615b30760c573835d23200daa", "config": {"instrument": {"id": "BINANCE-FUTURES:PERPETUAL:BTC-USDT", "price_precision": 1, "size_precision": 3, "multiplier": null, "margin_init": "0.01", "margin_maint": "0.005"}, "venue": {"name": "BINANCE-FUTURES", "oms_type": "NETTING", "account_type": "MARGIN", "base_currency": "USDT", "starting_balance": "1000000", "book_type": "L2_MBP", "maker_fee": "0.0002", "taker_fee": "0.0005", "leverage": "1"}, "data_catalog": {"trades_path": "raw_tick_data/by_date/day-*/data_type-trades/BINANCE-FUTURES:PERPETUAL:BTC-USDT.parquet", "book_snapshot_5_path": "raw_tick_data/by_date/day-*/data_type-book_snapshot_5/BINANCE-FUTURES:PERPETUAL:BTC-USDT.parquet", "derivative_ticker_path": null, "auto_discover": true, "instrument_file_pattern": null, "parquet_root": null}, "time_window": {"start": null, "end": null}, "strategy": {"name": "TradeReplay", "path": null, "submission_mode": "per_trade_tick", "order_type": "LIMIT", "time_in_force": "IOC", "orders": [], "exec_algorithm": {"type": "NORMAL", "params": {}}}, "execution": {"fill_model": {"prob_fill_on_limit": "1", "prob_slippage": "0", "random_seed": 42}, "latency": {"insert_ms": "0", "update_ms": "0", "cancel_ms": "0"}, "queue_position": false, "liquidity_consumption": false}, "risk": {"throttling_per_sec": null}, "environment": {"UNIFIED_CLOUD_LOCAL_PATH": null, "UNIFIED_CLOUD_SERVICES_USE_PARQUET": null, "UNIFIED_CLOUD_SERVICES_USE_DIRECT_GCS": null, "DATA_CATALOG_PATH": null}, "fx_stub": null, "data_source": "auto", "quality": {"max_reject_ratio": "0.01", "max_crossed_ratio": "0.01", "max_gap_secs": "300", "max_duplicate_ids": 0, "max_negative_latency_ratio": "0.05", "max_unknown_side_ratio": "0.01", "max_edge_gap_secs": "300", "partial_days": "warn", "missing_days": "warn"}, "metrics": {"equity_interval_secs": 60, "annualization_days": 365}}, "instrument_key": "BINANCE-FUTURES:PERPETUAL:BTC-USDT", "snapshot_mode": "both", "close_positions": true, "exec_algorithm": {"type": "NORMAL", "params": {}}, "dagster_run_id": "dagster-running"}}, "dagster_instance": ["here"]}',NULL,NULL,NULL,NULL,NULL);
ANALYZE "sqlite_master";
INSERT INTO "sqlite_stat1" VALUES('datasets','ix_datasets_timeframe','3 3');
INSERT INTO "sqlite_stat1" VALUES('datasets','ix_datasets_instrument','3 2 2');
INSERT INTO "sqlite_stat1" VALUES('datasets','ix_datasets_daterange','3 3 2');
INSERT INTO "sqlite_stat1" VALUES('datasets','sqlite_autoindex_datasets_1','3 1');
INSERT INTO "sqlite_stat1" VALUES('strategies','sqlite_autoindex_strategies_1','1 1 1 1');
INSERT INTO "sqlite_stat1" VALUES('runs','ix_runs_dagster_run','4 4');
INSERT INTO "sqlite_stat1" VALUES('runs','ix_runs_by_executed_at','4 1 1 1');
INSERT INTO "sqlite_stat1" VALUES('runs','sqlite_autoindex_runs_1','4 1');
INSERT INTO "sqlite_stat1" VALUES('artifacts','ix_artifacts_run_kind','20 5 4');
INSERT INTO "sqlite_stat1" VALUES('artifacts','sqlite_autoindex_artifacts_1','20 5 1');
INSERT INTO "sqlite_stat1" VALUES('events','ix_events_type','22 4 2');
INSERT INTO "sqlite_stat1" VALUES('events','ix_events_run_timestamp','22 6 3');
INSERT INTO "sqlite_stat1" VALUES('events','events','22 6 1');
CREATE TABLE strategies (
	id INTEGER NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	version VARCHAR(64) NOT NULL, 
	description TEXT, 
	params JSON NOT NULL, 
	params_hash VARCHAR(64) NOT NULL, 
	created_at DATETIME NOT NULL, 
	PRIMARY KEY (id), 
	CONSTRAINT uq_strategies_name_version_params UNIQUE (name, version, params_hash)
);
INSERT INTO "strategies" VALUES(1,'TradeReplay','d0647bb34579f7ab973bacf142170adf10695a7da46ee78add24d2baaeae0d10',NULL,'{"path": null, "submission_mode": "per_trade_tick", "order_type": "LIMIT", "time_in_force": "IOC", "orders": [], "exec_algorithm": {"type": "NORMAL", "params": {}}}','d4b04f5b066d060400902985132144fdd9eec4c3e066c7f38612d39065979604','2026-11-28 01:21:43.152000');
CREATE INDEX ix_datasets_daterange ON datasets (start_date, end_date);
CREATE INDEX ix_datasets_instrument ON datasets (instrument, start_date);
CREATE INDEX ix_datasets_timeframe ON datasets (timeframe);
CREATE INDEX ix_runs_by_executed_at ON runs (executed_at, id, status);
CREATE INDEX ix_runs_dagster_run ON runs (dagster_run_id);
CREATE INDEX ix_runs_unfinished ON runs (executed_at) WHERE status IN ('queued', 'running');
CREATE INDEX ix_artifacts_run_kind ON artifacts (run_id, kind);
CREATE INDEX ix_events_run_timestamp ON events (run_id, timestamp);
CREATE INDEX ix_events_type ON events (event_type, timestamp);
CREATE INDEX ix_runs_of_dataset_id ON runs (dataset_id);
CREATE INDEX ix_runs_of_partition ON runs (partition);
CREATE INDEX ix_runs_of_sweep_id ON runs (sweep_id);
CREATE INDEX ix_runs_listed ON runs (executed_at, id, config_name, status, instrument, dataset_id, strategy_id, partition, sweep_id, run_mode, run_id, detail, window_start, window_end, progress, currency, initial_capital, final_balance, final_value, lowest_value, pnl, realized, unrealized, commissions, funding, drawdown_amount, drawdown_duration_secs, expectancy, total_return, cagr, volatility, max_drawdown, win_rate, profit_factor, sharpe_ratio, sortino_ratio, calmar_ratio, figures_version, orders, fills, total_trades, winning_trades, losing_trades, break_even_trades, flag_count);
COMMIT;
