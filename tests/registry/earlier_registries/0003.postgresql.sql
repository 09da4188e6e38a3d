--
-- PostgreSQL database dump
--

\restrict zbWnkXY02nP2ySNEPi27lZHitzvOm7I57fwjXMqyWEJPm5woJB4eoussAdpjm3a

-- Dumped from database version 15.18 (Debian 15.18-0+deb12u1)
-- Dumped by pg_dump version 15.18 (Debian 15.18-0+deb12u1)

SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

--
-- Name: odum; Type: SCHEMA; Schema: -; Owner: -
--

CREATE SCHEMA odum;


--
-- Name: artifact_kind; Type: TYPE; Schema: odum; Owner: -
--

CREATE TYPE odum.artifact_kind AS ENUM (
    'plot',
    'report',
    'csv',
    'pickle',
    'json',
    'parquet'
);


--
-- Name: run_mode; Type: TYPE; Schema: odum; Owner: -
--

CREATE TYPE odum.run_mode AS ENUM (
    'backtest',
    'paper',
    'live'
);


--
-- Name: run_status; Type: TYPE; Schema: odum; Owner: -
--

CREATE TYPE odum.run_status AS ENUM (
    'queued',
    'running',
    'succeeded',
    'failed',
    'canceled'
);


SET default_tablespace = '';

SET default_table_access_method = heap;

--
-- Name: artifacts; Type: TABLE; Schema: odum; Owner: -
--

CREATE TABLE odum.artifacts (
    id bigint NOT NULL,
    run_id bigint NOT NULL,
    kind odum.artifact_kind NOT NULL,
    filename character varying(255) NOT NULL,
    storage_path character varying(512) NOT NULL,
    mime_type character varying(127) NOT NULL,
    size_bytes bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT ck_artifacts_nonnegative_size CHECK ((size_bytes >= 0))
);


--
-- Name: artifacts_id_seq; Type: SEQUENCE; Schema: odum; Owner: -
--

CREATE SEQUENCE odum.artifacts_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: artifacts_id_seq; Type: SEQUENCE OWNED BY; Schema: odum; Owner: -
--

ALTER SEQUENCE odum.artifacts_id_seq OWNED BY odum.artifacts.id;


--
-- Name: datasets; Type: TABLE; Schema: odum; Owner: -
--

CREATE TABLE odum.datasets (
    id bigint NOT NULL,
    name character varying(255) NOT NULL,
    description text,
    content_hash character varying(64) NOT NULL,
    instrument character varying(128) NOT NULL,
    symbols character varying(64)[] NOT NULL,
    timeframe character varying(20) NOT NULL,
    start_date timestamp with time zone NOT NULL,
    end_date timestamp with time zone NOT NULL,
    row_count bigint NOT NULL,
    rejected_count bigint NOT NULL,
    partitions jsonb NOT NULL,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT ck_datasets_counts CHECK (((row_count >= 0) AND (rejected_count >= 0))),
    CONSTRAINT ck_datasets_hash_length CHECK ((length((content_hash)::text) = 64)),
    CONSTRAINT ck_datasets_nonempty_symbols CHECK (((cardinality(symbols) > 0) AND (array_position(symbols, NULL::character varying) IS NULL) AND (array_position(symbols, ''::character varying) IS NULL))),
    CONSTRAINT ck_datasets_valid_daterange CHECK ((start_date < end_date))
);


--
-- Name: datasets_id_seq; Type: SEQUENCE; Schema: odum; Owner: -
--

CREATE SEQUENCE odum.datasets_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: datasets_id_seq; Type: SEQUENCE OWNED BY; Schema: odum; Owner: -
--

ALTER SEQUENCE odum.datasets_id_seq OWNED BY odum.datasets.id;


--
-- Name: events; Type: TABLE; Schema: odum; Owner: -
--

CREATE TABLE odum.events (
    run_id bigint NOT NULL,
    sequence bigint NOT NULL,
    event_type character varying(50) NOT NULL,
    "timestamp" timestamp with time zone NOT NULL,
    payload jsonb NOT NULL,
    CONSTRAINT ck_events_sequence CHECK ((sequence >= 0))
);


--
-- Name: registry_version; Type: TABLE; Schema: odum; Owner: -
--

CREATE TABLE odum.registry_version (
    version_num character varying(32) NOT NULL
);


--
-- Name: runs; Type: TABLE; Schema: odum; Owner: -
--

CREATE TABLE odum.runs (
    id bigint NOT NULL,
    run_id character varying(64) NOT NULL,
    status odum.run_status NOT NULL,
    run_mode odum.run_mode NOT NULL,
    detail character varying(16) NOT NULL,
    config_name character varying(255) NOT NULL,
    config_hash character varying(64) NOT NULL,
    partition character varying(32) NOT NULL,
    instrument character varying(128) NOT NULL,
    dataset_id bigint,
    strategy_id bigint,
    digest character varying(64),
    dagster_run_id character varying(64),
    sweep_id character varying(80),
    executed_at timestamp with time zone NOT NULL,
    window_start timestamp with time zone,
    window_end timestamp with time zone,
    progress numeric(24,12),
    phase character varying(255),
    updated_at timestamp with time zone,
    error text,
    error_type character varying(128),
    currency character varying(16),
    initial_capital numeric(38,12),
    final_balance numeric(38,12),
    final_value numeric(38,12),
    lowest_value numeric(38,12),
    pnl numeric(38,12),
    realized numeric(38,12),
    unrealized numeric(38,12),
    commissions numeric(38,12),
    funding numeric(38,12),
    drawdown_amount numeric(38,12),
    expectancy numeric(38,12),
    total_return numeric(24,12),
    max_drawdown numeric(24,12),
    win_rate numeric(24,12),
    profit_factor numeric(24,12),
    sharpe_ratio numeric(24,12),
    sortino_ratio numeric(24,12),
    orders bigint,
    fills bigint,
    total_trades bigint,
    winning_trades bigint,
    losing_trades bigint,
    break_even_trades bigint,
    flag_count integer,
    params jsonb NOT NULL,
    provenance jsonb NOT NULL,
    figures_version integer,
    cagr numeric(24,12),
    volatility numeric(24,12),
    calmar_ratio numeric(24,12),
    drawdown_duration_secs numeric(24,12),
    CONSTRAINT ck_runs_drawdown_sign CHECK ((max_drawdown <= (0)::numeric)),
    CONSTRAINT ck_runs_failed_says_why CHECK (((status <> 'failed'::odum.run_status) OR (error IS NOT NULL))),
    CONSTRAINT ck_runs_nonnegative_counts CHECK (((orders >= 0) AND (fills >= 0) AND (total_trades >= 0) AND (winning_trades >= 0) AND (losing_trades >= 0) AND (break_even_trades >= 0) AND (flag_count >= 0))),
    CONSTRAINT ck_runs_positive_capital CHECK ((initial_capital > (0)::numeric)),
    CONSTRAINT ck_runs_progress CHECK (((progress >= (0)::numeric) AND (progress <= (1)::numeric))),
    CONSTRAINT ck_runs_succeeded_is_whole CHECK (((status <> 'succeeded'::odum.run_status) OR ((dataset_id IS NOT NULL) AND (strategy_id IS NOT NULL) AND (digest IS NOT NULL) AND (error IS NULL)))),
    CONSTRAINT ck_runs_trade_count_consistency CHECK ((total_trades = ((winning_trades + losing_trades) + break_even_trades))),
    CONSTRAINT ck_runs_valid_window CHECK ((window_start <= window_end)),
    CONSTRAINT ck_runs_win_rate CHECK (((win_rate >= (0)::numeric) AND (win_rate <= (1)::numeric)))
);


--
-- Name: runs_id_seq; Type: SEQUENCE; Schema: odum; Owner: -
--

CREATE SEQUENCE odum.runs_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: runs_id_seq; Type: SEQUENCE OWNED BY; Schema: odum; Owner: -
--

ALTER SEQUENCE odum.runs_id_seq OWNED BY odum.runs.id;


--
-- Name: strategies; Type: TABLE; Schema: odum; Owner: -
--

CREATE TABLE odum.strategies (
    id bigint NOT NULL,
    name character varying(255) NOT NULL,
    version character varying(64) NOT NULL,
    description text,
    params jsonb NOT NULL,
    params_hash character varying(64) NOT NULL,
    created_at timestamp with time zone NOT NULL
);


--
-- Name: strategies_id_seq; Type: SEQUENCE; Schema: odum; Owner: -
--

CREATE SEQUENCE odum.strategies_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: strategies_id_seq; Type: SEQUENCE OWNED BY; Schema: odum; Owner: -
--

ALTER SEQUENCE odum.strategies_id_seq OWNED BY odum.strategies.id;


--
-- Name: artifacts id; Type: DEFAULT; Schema: odum; Owner: -
--

ALTER TABLE ONLY odum.artifacts ALTER COLUMN id SET DEFAULT nextval('odum.artifacts_id_seq'::regclass);


--
-- Name: datasets id; Type: DEFAULT; Schema: odum; Owner: -
--

ALTER TABLE ONLY odum.datasets ALTER COLUMN id SET DEFAULT nextval('odum.datasets_id_seq'::regclass);


--
-- Name: runs id; Type: DEFAULT; Schema: odum; Owner: -
--

ALTER TABLE ONLY odum.runs ALTER COLUMN id SET DEFAULT nextval('odum.runs_id_seq'::regclass);


--
-- Name: strategies id; Type: DEFAULT; Schema: odum; Owner: -
--

ALTER TABLE ONLY odum.strategies ALTER COLUMN id SET DEFAULT nextval('odum.strategies_id_seq'::regclass);


--
-- Data for Name: artifacts; Type: TABLE DATA; Schema: odum; Owner: -
--

INSERT INTO odum.artifacts VALUES (1, 1, 'json', 'BNF_BTC_20240305_00000000_c51985_30631b.json', 'fast/BNF_BTC_20240305_00000000_c51985_30631b.json', 'application/json', 8613, '2026-11-28 05:28:55+00');
INSERT INTO odum.artifacts VALUES (2, 1, 'parquet', 'equity.parquet', 'report/BNF_BTC_20240305_00000000_c51985_30631b/equity.parquet', 'application/vnd.apache.parquet', 3763, '2026-11-28 05:28:55+00');
INSERT INTO odum.artifacts VALUES (3, 1, 'parquet', 'fills.parquet', 'report/BNF_BTC_20240305_00000000_c51985_30631b/fills.parquet', 'application/vnd.apache.parquet', 4408, '2026-11-28 05:28:55+00');
INSERT INTO odum.artifacts VALUES (4, 1, 'json', 'metadata.json', 'report/BNF_BTC_20240305_00000000_c51985_30631b/metadata.json', 'application/json', 4318, '2026-11-28 05:28:55+00');
INSERT INTO odum.artifacts VALUES (5, 1, 'json', 'orders.json', 'report/BNF_BTC_20240305_00000000_c51985_30631b/orders.json', 'application/json', 1284, '2026-11-28 05:28:55+00');
INSERT INTO odum.artifacts VALUES (6, 1, 'parquet', 'orders.parquet', 'report/BNF_BTC_20240305_00000000_c51985_30631b/orders.parquet', 'application/vnd.apache.parquet', 5207, '2026-11-28 05:28:55+00');
INSERT INTO odum.artifacts VALUES (7, 1, 'parquet', 'positions.parquet', 'report/BNF_BTC_20240305_00000000_c51985_30631b/positions.parquet', 'application/vnd.apache.parquet', 5022, '2026-11-28 05:28:55+00');
INSERT INTO odum.artifacts VALUES (8, 1, 'json', 'summary.json', 'report/BNF_BTC_20240305_00000000_c51985_30631b/summary.json', 'application/json', 8613, '2026-11-28 05:28:55+00');
INSERT INTO odum.artifacts VALUES (9, 1, 'json', 'timeline.json', 'report/BNF_BTC_20240305_00000000_c51985_30631b/timeline.json', 'application/json', 1560, '2026-11-28 05:28:55+00');
INSERT INTO odum.artifacts VALUES (10, 2, 'json', 'BN_BTC_20240305_00000000_6097b8_44778e.json', 'fast/BN_BTC_20240305_00000000_6097b8_44778e.json', 'application/json', 8525, '2026-11-28 05:28:55+00');
INSERT INTO odum.artifacts VALUES (11, 3, 'json', 'BN_BTC_20240305_00000000_6097b8_4c6c80.json', 'fast/BN_BTC_20240305_00000000_6097b8_4c6c80.json', 'application/json', 9073, '2026-11-28 05:28:55+00');
INSERT INTO odum.artifacts VALUES (12, 3, 'parquet', 'equity.parquet', 'report/BN_BTC_20240305_00000000_6097b8_4c6c80/equity.parquet', 'application/vnd.apache.parquet', 4352, '2026-11-28 05:28:55+00');
INSERT INTO odum.artifacts VALUES (13, 3, 'parquet', 'fills.parquet', 'report/BN_BTC_20240305_00000000_6097b8_4c6c80/fills.parquet', 'application/vnd.apache.parquet', 4482, '2026-11-28 05:28:55+00');
INSERT INTO odum.artifacts VALUES (14, 3, 'json', 'metadata.json', 'report/BN_BTC_20240305_00000000_6097b8_4c6c80/metadata.json', 'application/json', 4740, '2026-11-28 05:28:55+00');
INSERT INTO odum.artifacts VALUES (15, 3, 'json', 'orders.json', 'report/BN_BTC_20240305_00000000_6097b8_4c6c80/orders.json', 'application/json', 1141, '2026-11-28 05:28:55+00');
INSERT INTO odum.artifacts VALUES (16, 3, 'parquet', 'orders.parquet', 'report/BN_BTC_20240305_00000000_6097b8_4c6c80/orders.parquet', 'application/vnd.apache.parquet', 4654, '2026-11-28 05:28:55+00');
INSERT INTO odum.artifacts VALUES (17, 3, 'parquet', 'positions.parquet', 'report/BN_BTC_20240305_00000000_6097b8_4c6c80/positions.parquet', 'application/vnd.apache.parquet', 4858, '2026-11-28 05:28:55+00');
INSERT INTO odum.artifacts VALUES (18, 3, 'json', 'summary.json', 'report/BN_BTC_20240305_00000000_6097b8_4c6c80/summary.json', 'application/json', 9073, '2026-11-28 05:28:55+00');
INSERT INTO odum.artifacts VALUES (19, 3, 'json', 'timeline.json', 'report/BN_BTC_20240305_00000000_6097b8_4c6c80/timeline.json', 'application/json', 1455, '2026-11-28 05:28:55+00');
INSERT INTO odum.artifacts VALUES (20, 4, 'json', 'BNF_BTC_20240305_00000000_99a518_14b25f.json', 'failed/BNF_BTC_20240305_00000000_99a518_14b25f.json', 'application/json', 3474, '2026-11-28 07:30:18.402258+00');


--
-- Data for Name: datasets; Type: TABLE DATA; Schema: odum; Owner: -
--

INSERT INTO odum.datasets VALUES (1, 'BINANCE-FUTURES:PERPETUAL:BTC-USDT 2024-03-05', NULL, 'f0a848ecfa0b8fc6b2a0000e20dcf167a8b4dccc3eb450beb4ee388718efeb1a', 'BINANCE-FUTURES:PERPETUAL:BTC-USDT', '{BTC-USDT}', 'tick', '2024-03-05 00:00:00+00', '2024-03-06 00:00:00+00', 5, 0, '[{"day": "2024-03-05", "rows": 5, "digest": "4b9a0eb0bf5668415d2f4e4a19595bc661f0b6ac1425f1bbbb3e4c0df196d437", "rejected": 0, "data_type": "trades"}]', '2026-11-28 01:21:47.143+00');
INSERT INTO odum.datasets VALUES (2, 'BINANCE:SPOT_PAIR:BTC-USDT 2024-03-05', NULL, 'b478c234a4620ee3e5939bf8cf55fbd736bac0b5d0ebca40492cb72246e4153d', 'BINANCE:SPOT_PAIR:BTC-USDT', '{BTC-USDT}', 'tick', '2024-03-05 00:00:00+00', '2024-03-06 00:00:00+00', 4, 0, '[{"day": "2024-03-05", "rows": 4, "digest": "d8092125a654fc64fde359f84b9fa1eb23db110ce46da597b211bfae4836759e", "rejected": 0, "data_type": "trades"}]', '2026-11-28 01:21:45.311+00');
INSERT INTO odum.datasets VALUES (3, 'BINANCE:SPOT_PAIR:BTC-USDT 2024-03-05..2024-03-07', NULL, '505ad55a2730eaa68cfbaf718d018526927133a9425e61e8dfd02c8298ebe514', 'BINANCE:SPOT_PAIR:BTC-USDT', '{BTC-USDT}', 'tick', '2024-03-05 00:00:00+00', '2024-03-08 00:00:00+00', 8, 0, '[{"day": "2024-03-05", "rows": 4, "digest": "d8092125a654fc64fde359f84b9fa1eb23db110ce46da597b211bfae4836759e", "rejected": 0, "data_type": "trades"}, {"day": "2024-03-07", "rows": 4, "digest": "afe27abb83c005a7a0efb313efafbba0778ef4d5c8452eb03aced9770efe6955", "rejected": 0, "data_type": "trades"}]', '2026-11-28 01:21:43.152+00');


--
-- Data for Name: events; Type: TABLE DATA; Schema: odum; Owner: -
--

INSERT INTO odum.events VALUES (1, 0, 'market_start', '2024-03-05 00:00:10+00', '{"ts": "2024-03-05T00:00:10Z"}');
INSERT INTO odum.events VALUES (1, 1, 'market_end', '2024-03-05 22:13:21+00', '{"ts": "2024-03-05T22:13:21Z"}');
INSERT INTO odum.events VALUES (1, 2, 'metric', '2026-11-28 01:21:47.143+00', '{"replay_secs": 0.063, "rows_replayed": 5, "accounting_secs": 0.024, "peak_memory_mib": 253}');
INSERT INTO odum.events VALUES (1, 3, 'refusal', '2026-11-28 01:21:47.143+00', '{"orders": 2, "reason": "INITIAL_MARGIN_EXCEEDS_FREE_BALANCE"}');
INSERT INTO odum.events VALUES (1, 4, 'warning', '2026-11-28 01:21:47.143+00', '{"text": "Equity fell below zero; margin calls and liquidation are not simulated."}');
INSERT INTO odum.events VALUES (1, 5, 'warning', '2026-11-28 01:21:47.143+00', '{"text": "2 orders were denied; see refusals for the reasons."}');
INSERT INTO odum.events VALUES (1, 6, 'warning', '2026-11-28 01:21:47.143+00', '{"text": "1 trade rows had no aggressor side and sent no order."}');
INSERT INTO odum.events VALUES (1, 7, 'warning', '2026-11-28 01:21:47.143+00', '{"text": "Funding is not charged: no funding data are configured."}');
INSERT INTO odum.events VALUES (1, 8, 'succeeded', '2026-11-28 01:21:47.143+00', '{"digest": "509b9d7947e9f005d56595657f750e9b867f984205fa7100a4484950497ad07b"}');
INSERT INTO odum.events VALUES (2, 0, 'market_start', '2024-03-05 00:00:10+00', '{"ts": "2024-03-05T00:00:10Z"}');
INSERT INTO odum.events VALUES (2, 1, 'market_end', '2024-03-05 22:13:20+00', '{"ts": "2024-03-05T22:13:20Z"}');
INSERT INTO odum.events VALUES (2, 2, 'metric', '2026-11-28 01:21:45.311+00', '{"replay_secs": 0.101, "rows_replayed": 4, "accounting_secs": 0.024, "peak_memory_mib": 259}');
INSERT INTO odum.events VALUES (2, 3, 'warning', '2026-11-28 01:21:45.311+00', '{"text": "A position of 0.02 is still open (closing was switched off); it is worth -73.33333333 USDT unrealized."}');
INSERT INTO odum.events VALUES (2, 4, 'warning', '2026-11-28 01:21:45.311+00', '{"text": "1 trade rows had no aggressor side and sent no order."}');
INSERT INTO odum.events VALUES (2, 5, 'succeeded', '2026-11-28 01:21:45.311+00', '{"digest": "73d0ffe4835e7702319e6c61e5c4837ae61a8fa99420e44fb4cf4ebf74825848"}');
INSERT INTO odum.events VALUES (3, 0, 'market_start', '2024-03-05 00:00:10+00', '{"ts": "2024-03-05T00:00:10Z"}');
INSERT INTO odum.events VALUES (3, 1, 'market_end', '2024-03-07 19:28:20+00', '{"ts": "2024-03-07T19:28:20Z"}');
INSERT INTO odum.events VALUES (3, 2, 'metric', '2026-11-28 01:21:43.152+00', '{"replay_secs": 0.292, "rows_replayed": 8, "accounting_secs": 0.032, "peak_memory_mib": 275}');
INSERT INTO odum.events VALUES (3, 3, 'warning', '2026-11-28 01:21:43.152+00', '{"text": "A position of 0.01 is still open (closing was switched off); it is worth -2.66666667 USDT unrealized."}');
INSERT INTO odum.events VALUES (3, 4, 'warning', '2026-11-28 01:21:43.152+00', '{"text": "4 trade rows had no aggressor side and sent no order."}');
INSERT INTO odum.events VALUES (3, 5, 'succeeded', '2026-11-28 01:21:43.152+00', '{"digest": "661235b021348dc5604a8b142cb2089827a1572eab6ce0312ee0b021e1cd6a02"}');
INSERT INTO odum.events VALUES (4, 0, 'failed', '2026-11-28 07:30:18.401+00', '{"type": "ValueError", "message": "no data"}');


--
-- Data for Name: registry_version; Type: TABLE DATA; Schema: odum; Owner: -
--

INSERT INTO odum.registry_version VALUES ('0003');


--
-- Data for Name: runs; Type: TABLE DATA; Schema: odum; Owner: -
--

INSERT INTO odum.runs VALUES (1, 'BNF_BTC_20240305_00000000_c51985_30631b', 'succeeded', 'backtest', 'report', 'binance_futures_btcusdt_l2_trades_config', 'c519857f733075fdee5ef67f4f1951a932602fe13b9b2140cae08c8d02745e2c', '2024-03-05', 'BINANCE-FUTURES:PERPETUAL:BTC-USDT', 1, 1, '509b9d7947e9f005d56595657f750e9b867f984205fa7100a4484950497ad07b', NULL, NULL, '2026-11-28 01:21:47.143+00', '2024-03-05 00:00:00+00', '2024-03-05 22:13:21+00', 1.000000000000, NULL, NULL, NULL, NULL, 'USDT', 1000.000000000000, -2062.500000000000, -2062.500000000000, -3032.000000000000, -3062.500000000000, -3000.000000000000, 0.000000000000, 62.500000000000, 0.000000000000, -5000.000000000000, -3062.500000000000, -3.062500000000, -2.540650406504, 0.000000000000, 0.000000000000, NULL, NULL, 4, 2, 1, 0, 1, 0, 4, '{"days": ["2024-03-05"], "snapshot_mode": "trades", "exec_algorithm": {"type": "NORMAL", "params": {}}, "close_positions": true}', '{"window": {"end_ns": null, "start_ns": null, "last_trade": "2024-03-05T22:13:21Z", "first_trade": "2024-03-05T00:00:10Z", "last_trade_ns": "1709676801000000000", "first_trade_ns": "1709596810000000000"}, "catalog": [{"day": "2024-03-05", "rows": 5, "digest": "4b9a0eb0bf5668415d2f4e4a19595bc661f0b6ac1425f1bbbb3e4c0df196d437", "rejected": 0, "data_type": "trades"}], "sources": [{"day": "2024-03-05", "path": "/srv/odum/raw/raw_tick_data/by_date/day-2024-03-05/data_type-trades/BINANCE-FUTURES:PERPETUAL:BTC-USDT.parquet", "size": 1971, "sha256": "f684b29ae40c780d5aed613a8af2ed77ef483aa600683341099dcb12b8fbbd31", "data_type": "trades"}], "versions": {"python": "3.13.0", "pyarrow": "26.0.1", "odum_assets": "0.1.0", "nautilus_trader": "2.0.0rc7"}, "resources": {"replay_secs": 0.063, "accounting_secs": 0.024, "peak_memory_mib": 253}, "missing_days": null, "partial_days": null, "volume_curve": null, "rows_repeated": null, "rows_replayed": 5, "reconciliation": {"balance_change": "-3062.5", "engine_tolerance": "0.00000001", "engine_difference": "0", "engine_final_balance": "-2062.5"}, "strategy_sha256": "d0647bb34579f7ab973bacf142170adf10695a7da46ee78add24d2baaeae0d10"}', 2, NULL, NULL, NULL, 72801.000000001000);
INSERT INTO odum.runs VALUES (2, 'BN_BTC_20240305_00000000_6097b8_44778e', 'succeeded', 'backtest', 'fast', 'binance_btcusdt_l2_trades_config', '6097b8e14ae5a1a3433ad2e3d7d3c2b35d4be1899ea04c6438073aa39f6e7824', '2024-03-05', 'BINANCE:SPOT_PAIR:BTC-USDT', 2, 1, '73d0ffe4835e7702319e6c61e5c4837ae61a8fa99420e44fb4cf4ebf74825848', NULL, NULL, '2026-11-28 01:21:45.311+00', '2024-03-05 00:00:00+00', '2024-03-05 22:13:20+00', 1.000000000000, NULL, NULL, NULL, NULL, 'USDT', 1000000.000000000000, 998667.450000000000, 999887.450000000000, 999858.060000000000, -39.216666670000, -36.666666670000, -73.333333330000, 2.550000000000, 0.000000000000, -150.000000000000, NULL, -0.000112550000, -0.000149998791, NULL, NULL, -19.151913769204, -19.239468748437, 3, 3, 0, 0, 0, 0, 2, '{"days": ["2024-03-05"], "snapshot_mode": "trades", "exec_algorithm": {"type": "NORMAL", "params": {}}, "close_positions": false}', '{"window": {"end_ns": null, "start_ns": null, "last_trade": "2024-03-05T22:13:20Z", "first_trade": "2024-03-05T00:00:10Z", "last_trade_ns": "1709676800000000000", "first_trade_ns": "1709596810000000000"}, "catalog": [{"day": "2024-03-05", "rows": 4, "digest": "d8092125a654fc64fde359f84b9fa1eb23db110ce46da597b211bfae4836759e", "rejected": 0, "data_type": "trades"}], "sources": [{"day": "2024-03-05", "path": "/srv/odum/raw/raw_tick_data/by_date/day-2024-03-05/data_type-trades/BINANCE:SPOT_PAIR:BTC-USDT.parquet", "size": 1956, "sha256": "05c2af4c6c9e4224712ea446414f6fce60ded171c650eea45a06a2fa9577ea87", "data_type": "trades"}], "versions": {"python": "3.13.0", "pyarrow": "26.0.1", "odum_assets": "0.1.0", "nautilus_trader": "2.0.0rc7"}, "resources": {"replay_secs": 0.101, "accounting_secs": 0.024, "peak_memory_mib": 259}, "missing_days": null, "partial_days": null, "volume_curve": null, "rows_repeated": null, "rows_replayed": 4, "reconciliation": {"balance_change": "-1332.55", "engine_tolerance": "0.00000004", "engine_difference": "0", "engine_final_balance": "998667.45"}, "strategy_sha256": "d0647bb34579f7ab973bacf142170adf10695a7da46ee78add24d2baaeae0d10"}', 1, NULL, NULL, NULL, NULL);
INSERT INTO odum.runs VALUES (3, 'BN_BTC_20240305_00000000_6097b8_4c6c80', 'succeeded', 'backtest', 'report', 'binance_btcusdt_l2_trades_config', '6097b8e14ae5a1a3433ad2e3d7d3c2b35d4be1899ea04c6438073aa39f6e7824', 'window', 'BINANCE:SPOT_PAIR:BTC-USDT', 3, 1, '661235b021348dc5604a8b142cb2089827a1572eab6ce0312ee0b021e1cd6a02', NULL, NULL, '2026-11-28 01:21:43.152+00', '2024-03-05 00:00:00+00', '2024-03-07 19:28:20+00', 1.000000000000, NULL, NULL, NULL, NULL, 'USDT', 1000000.000000000000, 999311.805000000000, 999955.805000000000, 999858.060000000000, -41.528333340000, -38.333333340000, -2.666666670000, 3.195000000000, 0.000000000000, -150.000000000000, NULL, -0.000044195000, -0.000149998791, NULL, NULL, -3.169375780253, -3.858344990778, 4, 4, 0, 0, 0, 0, 2, '{"days": ["2024-03-05", "2024-03-07"], "snapshot_mode": "trades", "exec_algorithm": {"type": "NORMAL", "params": {}}, "close_positions": false}', '{"window": {"end_ns": null, "start_ns": null, "last_trade": "2024-03-07T19:28:20Z", "first_trade": "2024-03-05T00:00:10Z", "last_trade_ns": "1709839700000000000", "first_trade_ns": "1709596810000000000"}, "catalog": [{"day": "2024-03-05", "rows": 4, "digest": "d8092125a654fc64fde359f84b9fa1eb23db110ce46da597b211bfae4836759e", "rejected": 0, "data_type": "trades"}, {"day": "2024-03-07", "rows": 4, "digest": "afe27abb83c005a7a0efb313efafbba0778ef4d5c8452eb03aced9770efe6955", "rejected": 0, "data_type": "trades"}], "sources": [{"day": "2024-03-05", "path": "/srv/odum/raw/raw_tick_data/by_date/day-2024-03-05/data_type-trades/BINANCE:SPOT_PAIR:BTC-USDT.parquet", "size": 1956, "sha256": "05c2af4c6c9e4224712ea446414f6fce60ded171c650eea45a06a2fa9577ea87", "data_type": "trades"}, {"day": "2024-03-07", "path": "/srv/odum/raw/raw_tick_data/by_date/day-2024-03-07/data_type-trades/BINANCE:SPOT_PAIR:BTC-USDT.parquet", "size": 1947, "sha256": "1a53fe9a2e0b51f02ff60dd93e11a757b3da517b7235431533485e58e61b66dd", "data_type": "trades"}], "versions": {"python": "3.13.0", "pyarrow": "26.0.1", "odum_assets": "0.1.0", "nautilus_trader": "2.0.0rc7"}, "resources": {"replay_secs": 0.292, "accounting_secs": 0.032, "peak_memory_mib": 275}, "missing_days": null, "partial_days": null, "volume_curve": null, "rows_repeated": null, "rows_replayed": 8, "reconciliation": {"balance_change": "-688.195", "engine_tolerance": "0.00000006", "engine_difference": "0", "engine_final_balance": "999311.805"}, "strategy_sha256": "d0647bb34579f7ab973bacf142170adf10695a7da46ee78add24d2baaeae0d10"}', 2, NULL, 0.002775073133, NULL, 235700.000000001000);
INSERT INTO odum.runs VALUES (4, 'BNF_BTC_20240305_00000000_99a518_14b25f', 'failed', 'backtest', 'report', 'binance_futures_btcusdt_l2_trades_config', '99a518e89ceba1fdd65309ea31fba4e2ec98d41615b30760c573835d23200daa', 'window', 'BINANCE-FUTURES:PERPETUAL:BTC-USDT', NULL, NULL, NULL, NULL, NULL, '2026-11-28 07:30:18.401+00', '2024-03-05 00:00:00+00', '2024-03-06 00:00:00+00', NULL, NULL, NULL, 'no data', 'ValueError', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '{"days": ["2024-03-05"], "snapshot_mode": "both", "exec_algorithm": {"type": "NORMAL", "params": {}}, "close_positions": true}', '{"request": {"end": "2024-03-06T00:00:00Z", "mode": "report", "start": "2024-03-05T00:00:00Z", "run_id": "BNF_BTC_20240305_00000000_99a518_14b25f", "metadata": {"days": ["2024-03-05"], "mode": "report", "config": {"risk": {"throttling_per_sec": null}, "venue": {"name": "BINANCE-FUTURES", "leverage": "1", "oms_type": "NETTING", "book_type": "L2_MBP", "maker_fee": "0.0002", "taker_fee": "0.0005", "account_type": "MARGIN", "base_currency": "USDT", "starting_balance": "1000000"}, "fx_stub": null, "metrics": {"annualization_days": 365, "equity_interval_secs": 60}, "quality": {"max_gap_secs": "300", "missing_days": "warn", "partial_days": "warn", "max_reject_ratio": "0.01", "max_crossed_ratio": "0.01", "max_duplicate_ids": 0, "max_edge_gap_secs": "300", "max_unknown_side_ratio": "0.01", "max_negative_latency_ratio": "0.05"}, "strategy": {"name": "TradeReplay", "path": null, "orders": [], "order_type": "LIMIT", "time_in_force": "IOC", "exec_algorithm": {"type": "NORMAL", "params": {}}, "submission_mode": "per_trade_tick"}, "execution": {"latency": {"cancel_ms": "0", "insert_ms": "0", "update_ms": "0"}, "fill_model": {"random_seed": 42, "prob_slippage": "0", "prob_fill_on_limit": "1"}, "queue_position": false, "liquidity_consumption": false}, "instrument": {"id": "BINANCE-FUTURES:PERPETUAL:BTC-USDT", "multiplier": null, "margin_init": "0.01", "margin_maint": "0.005", "size_precision": 3, "price_precision": 1}, "data_source": "auto", "environment": {"DATA_CATALOG_PATH": null, "UNIFIED_CLOUD_LOCAL_PATH": null, "UNIFIED_CLOUD_SERVICES_USE_PARQUET": null, "UNIFIED_CLOUD_SERVICES_USE_DIRECT_GCS": null}, "time_window": {"end": null, "start": null}, "data_catalog": {"trades_path": "raw_tick_data/by_date/day-*/data_type-trades/BINANCE-FUTURES:PERPETUAL:BTC-USDT.parquet", "parquet_root": null, "auto_discover": true, "book_snapshot_5_path": "raw_tick_data/by_date/day-*/data_type-book_snapshot_5/BINANCE-FUTURES:PERPETUAL:BTC-USDT.parquet", "derivative_ticker_path": null, "instrument_file_pattern": null}}, "run_id": "BNF_BTC_20240305_00000000_99a518_14b25f", "partition": "window", "config_hash": "99a518e89ceba1fdd65309ea31fba4e2ec98d41615b30760c573835d23200daa", "config_name": "binance_futures_btcusdt_l2_trades_config", "config_path": "/tmp/xt_old/configs/binance_futures_btcusdt_l2_trades_config.json", "snapshot_mode": "both", "dagster_run_id": null, "exec_algorithm": {"type": "NORMAL", "params": {}}, "instrument_key": "BINANCE-FUTURES:PERPETUAL:BTC-USDT", "close_positions": true}, "instrument": "BINANCE-FUTURES:PERPETUAL:BTC-USDT"}}', NULL, NULL, NULL, NULL, NULL);
INSERT INTO odum.runs VALUES (5, 'BNF_BTC_20240305_00000000_99a518_000001', 'queued', 'backtest', 'report', 'binance_futures_btcusdt_l2_trades_config', '99a518e89ceba1fdd65309ea31fba4e2ec98d41615b30760c573835d23200daa', '2024-03-05', 'BINANCE-FUTURES:PERPETUAL:BTC-USDT', NULL, NULL, NULL, 'dagster-queued', NULL, '2026-11-28 07:30:18.591392+00', '2024-03-05 00:00:00+00', '2024-03-06 00:00:00+00', 0.000000000000, NULL, '2026-11-28 07:30:18.591392+00', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '{"days": ["2024-03-05"], "snapshot_mode": "both", "exec_algorithm": {"type": "NORMAL", "params": {}}, "close_positions": true}', '{"request": {"end": "2024-03-06T00:00:00Z", "mode": "report", "start": "2024-03-05T00:00:00Z", "run_id": "BNF_BTC_20240305_00000000_99a518_000001", "metadata": {"days": ["2024-03-05"], "mode": "report", "config": {"risk": {"throttling_per_sec": null}, "venue": {"name": "BINANCE-FUTURES", "leverage": "1", "oms_type": "NETTING", "book_type": "L2_MBP", "maker_fee": "0.0002", "taker_fee": "0.0005", "account_type": "MARGIN", "base_currency": "USDT", "starting_balance": "1000000"}, "fx_stub": null, "metrics": {"annualization_days": 365, "equity_interval_secs": 60}, "quality": {"max_gap_secs": "300", "missing_days": "warn", "partial_days": "warn", "max_reject_ratio": "0.01", "max_crossed_ratio": "0.01", "max_duplicate_ids": 0, "max_edge_gap_secs": "300", "max_unknown_side_ratio": "0.01", "max_negative_latency_ratio": "0.05"}, "strategy": {"name": "TradeReplay", "path": null, "orders": [], "order_type": "LIMIT", "time_in_force": "IOC", "exec_algorithm": {"type": "NORMAL", "params": {}}, "submission_mode": "per_trade_tick"}, "execution": {"latency": {"cancel_ms": "0", "insert_ms": "0", "update_ms": "0"}, "fill_model": {"random_seed": 42, "prob_slippage": "0", "prob_fill_on_limit": "1"}, "queue_position": false, "liquidity_consumption": false}, "instrument": {"id": "BINANCE-FUTURES:PERPETUAL:BTC-USDT", "multiplier": null, "margin_init": "0.01", "margin_maint": "0.005", "size_precision": 3, "price_precision": 1}, "data_source": "auto", "environment": {"DATA_CATALOG_PATH": null, "UNIFIED_CLOUD_LOCAL_PATH": null, "UNIFIED_CLOUD_SERVICES_USE_PARQUET": null, "UNIFIED_CLOUD_SERVICES_USE_DIRECT_GCS": null}, "time_window": {"end": null, "start": null}, "data_catalog": {"trades_path": "raw_tick_data/by_date/day-*/data_type-trades/BINANCE-FUTURES:PERPETUAL:BTC-USDT.parquet", "parquet_root": null, "auto_discover": true, "book_snapshot_5_path": "raw_tick_data/by_date/day-*/data_type-book_snapshot_5/BINANCE-FUTURES:PERPETUAL:BTC-USDT.parquet", "derivative_ticker_path": null, "instrument_file_pattern": null}}, "run_id": "BNF_BTC_20240305_00000000_99a518_000001", "partition": "2024-03-05", "config_hash": "99a518e89ceba1fdd65309ea31fba4e2ec98d41615b30760c573835d23200daa", "config_name": "binance_futures_btcusdt_l2_trades_config", "config_path": "/tmp/xt_old/configs/binance_futures_btcusdt_l2_trades_config.json", "snapshot_mode": "both", "dagster_run_id": "dagster-queued", "exec_algorithm": {"type": "NORMAL", "params": {}}, "instrument_key": "BINANCE-FUTURES:PERPETUAL:BTC-USDT", "close_positions": true}, "instrument": "BINANCE-FUTURES:PERPETUAL:BTC-USDT"}}', NULL, NULL, NULL, NULL, NULL);
INSERT INTO odum.runs VALUES (6, 'BNF_BTC_20240305_00000000_99a518_000002', 'running', 'backtest', 'report', 'binance_futures_btcusdt_l2_trades_config', '99a518e89ceba1fdd65309ea31fba4e2ec98d41615b30760c573835d23200daa', '2024-03-05', 'BINANCE-FUTURES:PERPETUAL:BTC-USDT', NULL, NULL, NULL, 'dagster-running', NULL, '2026-11-28 07:30:18.615391+00', '2024-03-05 00:00:00+00', '2024-03-06 00:00:00+00', 0.250000000000, 'replay 12:00', '2026-11-28 07:30:18.642962+00', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '{"days": ["2024-03-05"], "snapshot_mode": "both", "exec_algorithm": {"type": "NORMAL", "params": {}}, "close_positions": true}', '{"request": {"end": "2024-03-06T00:00:00Z", "mode": "report", "start": "2024-03-05T00:00:00Z", "run_id": "BNF_BTC_20240305_00000000_99a518_000002", "metadata": {"days": ["2024-03-05"], "mode": "report", "config": {"risk": {"throttling_per_sec": null}, "venue": {"name": "BINANCE-FUTURES", "leverage": "1", "oms_type": "NETTING", "book_type": "L2_MBP", "maker_fee": "0.0002", "taker_fee": "0.0005", "account_type": "MARGIN", "base_currency": "USDT", "starting_balance": "1000000"}, "fx_stub": null, "metrics": {"annualization_days": 365, "equity_interval_secs": 60}, "quality": {"max_gap_secs": "300", "missing_days": "warn", "partial_days": "warn", "max_reject_ratio": "0.01", "max_crossed_ratio": "0.01", "max_duplicate_ids": 0, "max_edge_gap_secs": "300", "max_unknown_side_ratio": "0.01", "max_negative_latency_ratio": "0.05"}, "strategy": {"name": "TradeReplay", "path": null, "orders": [], "order_type": "LIMIT", "time_in_force": "IOC", "exec_algorithm": {"type": "NORMAL", "params": {}}, "submission_mode": "per_trade_tick"}, "execution": {"latency": {"cancel_ms": "0", "insert_ms": "0", "update_ms": "0"}, "fill_model": {"random_seed": 42, "prob_slippage": "0", "prob_fill_on_limit": "1"}, "queue_position": false, "liquidity_consumption": false}, "instrument": {"id": "BINANCE-FUTURES:PERPETUAL:BTC-USDT", "multiplier": null, "margin_init": "0.01", "margin_maint": "0.005", "size_precision": 3, "price_precision": 1}, "data_source": "auto", "environment": {"DATA_CATALOG_PATH": null, "UNIFIED_CLOUD_LOCAL_PATH": null, "UNIFIED_CLOUD_SERVICES_USE_PARQUET": null, "UNIFIED_CLOUD_SERVICES_USE_DIRECT_GCS": null}, "time_window": {"end": null, "start": null}, "data_catalog": {"trades_path": "raw_tick_data/by_date/day-*/data_type-trades/BINANCE-FUTURES:PERPETUAL:BTC-USDT.parquet", "parquet_root": null, "auto_discover": true, "book_snapshot_5_path": "raw_tick_data/by_date/day-*/data_type-book_snapshot_5/BINANCE-FUTURES:PERPETUAL:BTC-USDT.parquet", "derivative_ticker_path": null, "instrument_file_pattern": null}}, "run_id": "BNF_BTC_20240305_00000000_99a518_000002", "partition": "2024-03-05", "config_hash": "99a518e89ceba1fdd65309ea31fba4e2ec98d41615b30760c573835d23200daa", "config_name": "binance_futures_btcusdt_l2_trades_config", "config_path": "/tmp/xt_old/configs/binance_futures_btcusdt_l2_trades_config.json", "snapshot_mode": "both", "dagster_run_id": "dagster-running", "exec_algorithm": {"type": "NORMAL", "params": {}}, "instrument_key": "BINANCE-FUTURES:PERPETUAL:BTC-USDT", "close_positions": true}, "instrument": "BINANCE-FUTURES:PERPETUAL:BTC-USDT"}, "dagster_instance": ["here"]}', NULL, NULL, NULL, NULL, NULL);


--
-- Data for Name: strategies; Type: TABLE DATA; Schema: odum; Owner: -
--

INSERT INTO odum.strategies VALUES (1, 'TradeReplay', 'd0647bb34579f7ab973bacf142170adf10695a7da46ee78add24d2baaeae0d10', NULL, '{"path": null, "orders": [], "order_type": "LIMIT", "time_in_force": "IOC", "exec_algorithm": {"type": "NORMAL", "params": {}}, "submission_mode": "per_trade_tick"}', 'd4b04f5b066d060400902985132144fdd9eec4c3e066c7f38612d39065979604', '2026-11-28 01:21:43.152+00');


--
-- Name: artifacts_id_seq; Type: SEQUENCE SET; Schema: odum; Owner: -
--

SELECT pg_catalog.setval('odum.artifacts_id_seq', 20, true);


--
-- Name: datasets_id_seq; Type: SEQUENCE SET; Schema: odum; Owner: -
--

SELECT pg_catalog.setval('odum.datasets_id_seq', 4, false);


--
-- Name: runs_id_seq; Type: SEQUENCE SET; Schema: odum; Owner: -
--

SELECT pg_catalog.setval('odum.runs_id_seq', 6, true);


--
-- Name: strategies_id_seq; Type: SEQUENCE SET; Schema: odum; Owner: -
--

SELECT pg_catalog.setval('odum.strategies_id_seq', 2, false);


--
-- Name: artifacts artifacts_pkey; Type: CONSTRAINT; Schema: odum; Owner: -
--

ALTER TABLE ONLY odum.artifacts
    ADD CONSTRAINT artifacts_pkey PRIMARY KEY (id);


--
-- Name: datasets datasets_pkey; Type: CONSTRAINT; Schema: odum; Owner: -
--

ALTER TABLE ONLY odum.datasets
    ADD CONSTRAINT datasets_pkey PRIMARY KEY (id);


--
-- Name: events events_pkey; Type: CONSTRAINT; Schema: odum; Owner: -
--

ALTER TABLE ONLY odum.events
    ADD CONSTRAINT events_pkey PRIMARY KEY (run_id, sequence);


--
-- Name: registry_version registry_version_pkc; Type: CONSTRAINT; Schema: odum; Owner: -
--

ALTER TABLE ONLY odum.registry_version
    ADD CONSTRAINT registry_version_pkc PRIMARY KEY (version_num);


--
-- Name: runs runs_pkey; Type: CONSTRAINT; Schema: odum; Owner: -
--

ALTER TABLE ONLY odum.runs
    ADD CONSTRAINT runs_pkey PRIMARY KEY (id);


--
-- Name: strategies strategies_pkey; Type: CONSTRAINT; Schema: odum; Owner: -
--

ALTER TABLE ONLY odum.strategies
    ADD CONSTRAINT strategies_pkey PRIMARY KEY (id);


--
-- Name: artifacts uq_artifacts_path; Type: CONSTRAINT; Schema: odum; Owner: -
--

ALTER TABLE ONLY odum.artifacts
    ADD CONSTRAINT uq_artifacts_path UNIQUE (run_id, storage_path);


--
-- Name: datasets uq_datasets_hash; Type: CONSTRAINT; Schema: odum; Owner: -
--

ALTER TABLE ONLY odum.datasets
    ADD CONSTRAINT uq_datasets_hash UNIQUE (content_hash);


--
-- Name: runs uq_runs_run_id; Type: CONSTRAINT; Schema: odum; Owner: -
--

ALTER TABLE ONLY odum.runs
    ADD CONSTRAINT uq_runs_run_id UNIQUE (run_id);


--
-- Name: strategies uq_strategies_name_version_params; Type: CONSTRAINT; Schema: odum; Owner: -
--

ALTER TABLE ONLY odum.strategies
    ADD CONSTRAINT uq_strategies_name_version_params UNIQUE (name, version, params_hash);


--
-- Name: ix_artifacts_run_kind; Type: INDEX; Schema: odum; Owner: -
--

CREATE INDEX ix_artifacts_run_kind ON odum.artifacts USING btree (run_id, kind);


--
-- Name: ix_datasets_daterange; Type: INDEX; Schema: odum; Owner: -
--

CREATE INDEX ix_datasets_daterange ON odum.datasets USING btree (start_date, end_date);


--
-- Name: ix_datasets_instrument; Type: INDEX; Schema: odum; Owner: -
--

CREATE INDEX ix_datasets_instrument ON odum.datasets USING btree (instrument, start_date);


--
-- Name: ix_datasets_timeframe; Type: INDEX; Schema: odum; Owner: -
--

CREATE INDEX ix_datasets_timeframe ON odum.datasets USING btree (timeframe);


--
-- Name: ix_events_payload; Type: INDEX; Schema: odum; Owner: -
--

CREATE INDEX ix_events_payload ON odum.events USING gin (payload jsonb_path_ops);


--
-- Name: ix_events_run_timestamp; Type: INDEX; Schema: odum; Owner: -
--

CREATE INDEX ix_events_run_timestamp ON odum.events USING btree (run_id, "timestamp");


--
-- Name: ix_events_type; Type: INDEX; Schema: odum; Owner: -
--

CREATE INDEX ix_events_type ON odum.events USING btree (event_type, "timestamp");


--
-- Name: ix_runs_by_executed_at; Type: INDEX; Schema: odum; Owner: -
--

CREATE INDEX ix_runs_by_executed_at ON odum.runs USING btree (executed_at, id);


--
-- Name: ix_runs_dagster_run; Type: INDEX; Schema: odum; Owner: -
--

CREATE INDEX ix_runs_dagster_run ON odum.runs USING btree (dagster_run_id);


--
-- Name: ix_runs_of_dataset_id; Type: INDEX; Schema: odum; Owner: -
--

CREATE INDEX ix_runs_of_dataset_id ON odum.runs USING btree (dataset_id);


--
-- Name: ix_runs_of_partition; Type: INDEX; Schema: odum; Owner: -
--

CREATE INDEX ix_runs_of_partition ON odum.runs USING btree (partition);


--
-- Name: ix_runs_of_sweep_id; Type: INDEX; Schema: odum; Owner: -
--

CREATE INDEX ix_runs_of_sweep_id ON odum.runs USING btree (sweep_id);


--
-- Name: ix_runs_params; Type: INDEX; Schema: odum; Owner: -
--

CREATE INDEX ix_runs_params ON odum.runs USING gin (params jsonb_path_ops);


--
-- Name: ix_runs_provenance; Type: INDEX; Schema: odum; Owner: -
--

CREATE INDEX ix_runs_provenance ON odum.runs USING gin (provenance jsonb_path_ops);


--
-- Name: ix_runs_unfinished; Type: INDEX; Schema: odum; Owner: -
--

CREATE INDEX ix_runs_unfinished ON odum.runs USING btree (executed_at) WHERE (status = ANY (ARRAY['queued'::odum.run_status, 'running'::odum.run_status]));


--
-- Name: ix_strategies_params; Type: INDEX; Schema: odum; Owner: -
--

CREATE INDEX ix_strategies_params ON odum.strategies USING gin (params jsonb_path_ops);


--
-- Name: artifacts artifacts_run_id_fkey; Type: FK CONSTRAINT; Schema: odum; Owner: -
--

ALTER TABLE ONLY odum.artifacts
    ADD CONSTRAINT artifacts_run_id_fkey FOREIGN KEY (run_id) REFERENCES odum.runs(id) ON DELETE CASCADE;


--
-- Name: events events_run_id_fkey; Type: FK CONSTRAINT; Schema: odum; Owner: -
--

ALTER TABLE ONLY odum.events
    ADD CONSTRAINT events_run_id_fkey FOREIGN KEY (run_id) REFERENCES odum.runs(id) ON DELETE CASCADE;


--
-- Name: runs runs_dataset_id_fkey; Type: FK CONSTRAINT; Schema: odum; Owner: -
--

ALTER TABLE ONLY odum.runs
    ADD CONSTRAINT runs_dataset_id_fkey FOREIGN KEY (dataset_id) REFERENCES odum.datasets(id) ON DELETE RESTRICT;


--
-- Name: runs runs_strategy_id_fkey; Type: FK CONSTRAINT; Schema: odum; Owner: -
--

ALTER TABLE ONLY odum.runs
    ADD CONSTRAINT runs_strategy_id_fkey FOREIGN KEY (strategy_id) REFERENCES odum.strategies(id) ON DELETE RESTRICT;


--
-- PostgreSQL database dump complete
--

\unrestrict zbWnkXY02nP2ySNEPi27lZHitzvOm7I57fwjXMqyWEJPm5woJB4eoussAdpjm3a

