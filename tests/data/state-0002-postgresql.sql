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
SET default_tablespace = '';
SET default_table_access_method = heap;
CREATE TABLE public.alembic_version (
    version_num character varying(32) NOT NULL
);
CREATE TABLE public.attachments (
    id bigint NOT NULL,
    volume_id bigint NOT NULL,
    host character varying(255) NOT NULL,
    compute character varying(32) NOT NULL,
    domain character varying(255) NOT NULL,
    server character varying(64) NOT NULL,
    device text,
    mountpoint text,
    size bigint,
    lagging boolean NOT NULL,
    CONSTRAINT ck_attachments_size CHECK ((size > 0))
);
CREATE SEQUENCE public.attachments_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.attachments_id_seq OWNED BY public.attachments.id;
CREATE TABLE public.deeds (
    seq bigint NOT NULL,
    operation_id bigint NOT NULL,
    host character varying(255) NOT NULL,
    argv json NOT NULL,
    status integer,
    output text NOT NULL,
    started_at timestamp without time zone NOT NULL,
    ended_at timestamp without time zone,
    stdin text
);
CREATE SEQUENCE public.deeds_seq_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.deeds_seq_seq OWNED BY public.deeds.seq;
CREATE TABLE public.operations (
    id bigint NOT NULL,
    volume_id bigint,
    volume character varying(255) NOT NULL,
    open_volume bigint,
    kind character varying(32) NOT NULL,
    state character varying(16) NOT NULL,
    before bigint NOT NULL,
    goal bigint NOT NULL,
    trunk_settled boolean NOT NULL,
    targets json NOT NULL,
    options json NOT NULL,
    decision json NOT NULL,
    reason text,
    error json,
    epoch integer NOT NULL,
    owner_user character varying(255) NOT NULL,
    owner_sudo_user character varying(255),
    owner_machine character varying(400) NOT NULL,
    owner_boot_id character varying(64) NOT NULL,
    owner_pid bigint NOT NULL,
    owner_started bigint NOT NULL,
    heartbeat timestamp without time zone NOT NULL,
    pool_key character varying(255),
    reserved bigint NOT NULL,
    released_at timestamp without time zone,
    opened_at timestamp without time zone NOT NULL,
    closed_at timestamp without time zone,
    CONSTRAINT ck_operations_before CHECK ((before > 0)),
    CONSTRAINT ck_operations_goal CHECK ((goal > 0)),
    CONSTRAINT ck_operations_reserved CHECK ((reserved >= 0))
);
CREATE SEQUENCE public.operations_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.operations_id_seq OWNED BY public.operations.id;
CREATE TABLE public.records (
    seq bigint NOT NULL,
    operation_id bigint NOT NULL,
    epoch integer NOT NULL,
    key character varying(760) NOT NULL,
    host character varying(255) NOT NULL,
    kind character varying(32) NOT NULL,
    name text NOT NULL,
    before bigint,
    target bigint,
    after bigint,
    outcome character varying(16),
    note text NOT NULL,
    error json,
    measured_at timestamp without time zone NOT NULL,
    settled_at timestamp without time zone,
    archive text
);
CREATE SEQUENCE public.records_seq_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.records_seq_seq OWNED BY public.records.seq;
CREATE TABLE public.runs (
    seq bigint NOT NULL,
    operation_id bigint NOT NULL,
    epoch integer NOT NULL,
    what character varying(16) NOT NULL,
    "user" character varying(255) NOT NULL,
    sudo_user character varying(255),
    machine character varying(400) NOT NULL,
    pid bigint NOT NULL,
    began_at timestamp without time zone
);
CREATE SEQUENCE public.runs_seq_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.runs_seq_seq OWNED BY public.runs.seq;
CREATE TABLE public.volumes (
    id bigint NOT NULL,
    name character varying(255) NOT NULL,
    backend character varying(255) NOT NULL,
    source text NOT NULL,
    source_identity character varying(760) NOT NULL,
    size bigint NOT NULL,
    project character varying(255),
    admin_status character varying(32),
    created_at timestamp without time zone NOT NULL,
    CONSTRAINT ck_volumes_size CHECK ((size > 0))
);
CREATE SEQUENCE public.volumes_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.volumes_id_seq OWNED BY public.volumes.id;
ALTER TABLE ONLY public.attachments ALTER COLUMN id SET DEFAULT nextval('public.attachments_id_seq'::regclass);
ALTER TABLE ONLY public.deeds ALTER COLUMN seq SET DEFAULT nextval('public.deeds_seq_seq'::regclass);
ALTER TABLE ONLY public.operations ALTER COLUMN id SET DEFAULT nextval('public.operations_id_seq'::regclass);
ALTER TABLE ONLY public.records ALTER COLUMN seq SET DEFAULT nextval('public.records_seq_seq'::regclass);
ALTER TABLE ONLY public.runs ALTER COLUMN seq SET DEFAULT nextval('public.runs_seq_seq'::regclass);
ALTER TABLE ONLY public.volumes ALTER COLUMN id SET DEFAULT nextval('public.volumes_id_seq'::regclass);
INSERT INTO public.alembic_version VALUES ('0002');
INSERT INTO public.attachments VALUES (2, 2, 'web2', 'libvirt', 'guest', '', NULL, NULL, NULL, false);
INSERT INTO public.attachments VALUES (1, 1, 'web1', 'linux', '', '', 'sdb', '/srv/vol1', 21474836480, false);
INSERT INTO public.deeds VALUES (1, 1, 'silo', '["lvextend", "--yes", "--size", "21474836480b", "vg0/vol1"]', 0, '  Logical volume vg0/vol1 successfully resized.
', '2026-11-22 10:00:00', '2026-11-22 10:00:00', NULL);
INSERT INTO public.operations VALUES (1, 1, 'vol1', NULL, 'extend', 'done', 10737418240, 21474836480, true, '{"silo/lv/vol1-uuid": 21474836480}', '{"no_filesystem": false, "grow_lv": null, "fill": false, "offline": false}', '["volume:extend allows alice", "volume:extend_attached_volume allows alice"]', 'ticket 4711', NULL, 1, 'root', 'alice', 'admin1:4f1c', '0b1e7e52-6f4d-4c43-9d5c-3d9f6a1b2c3d', 4711, 123456, '2026-11-23 03:15:07.80102', 'vg-uuid', 10737418240, '2026-11-23 03:15:07.800129', '2026-11-23 03:15:07.789417', '2026-11-23 03:15:07.801754');
INSERT INTO public.operations VALUES (2, 2, 'vol2', NULL, 'extend', 'incomplete', 10737418240, 21474836480, true, '{"silo/lv/vol1-uuid": 21474836480}', '{"no_filesystem": false, "grow_lv": null, "fill": false, "offline": false}', '["volume:extend allows alice", "volume:extend_attached_volume allows alice"]', 'ticket 4711', '{"code": "host-failed", "message": "web2 did not follow", "hint": "", "reasons": []}', 1, 'root', 'alice', 'admin1:4f1c', '0b1e7e52-6f4d-4c43-9d5c-3d9f6a1b2c3d', 4711, 123456, '2026-11-23 03:15:07.807994', NULL, 0, '2026-11-23 03:15:07.807108', '2026-11-23 03:15:07.804933', '2026-11-23 03:15:07.80844');
INSERT INTO public.operations VALUES (3, 3, 'vol3', 3, 'extend', 'open', 10737418240, 21474836480, false, '{"silo/lv/vol1-uuid": 21474836480}', '{"no_filesystem": false, "grow_lv": null, "fill": false, "offline": false}', '["volume:extend allows alice", "volume:extend_attached_volume allows alice"]', 'ticket 4711', NULL, 1, 'root', 'alice', 'admin1:4f1c', '0b1e7e52-6f4d-4c43-9d5c-3d9f6a1b2c3d', 4711, 123456, '2026-11-23 03:15:07.812864', 'vg-uuid', 10737418240, NULL, '2026-11-23 03:15:07.811425', NULL);
INSERT INTO public.records VALUES (1, 1, 1, 'silo/lv/vol1-uuid', 'silo', 'lv', 'vg0/vol1', 10737418240, 21474836480, 21474836480, 'grown', '', NULL, '2026-11-23 03:15:07.792936', '2026-11-23 03:15:07.79795', NULL);
INSERT INTO public.records VALUES (2, 3, 1, 'silo/lv/vol3-uuid', 'silo', 'lv', 'vg0/vol3', 10737418240, 21474836480, NULL, NULL, '', NULL, '2026-11-23 03:15:07.813267', NULL, NULL);
INSERT INTO public.runs VALUES (1, 1, 1, 'opened', 'root', 'alice', 'admin1:4f1c', 4711, '2026-11-23 03:15:07.789417');
INSERT INTO public.runs VALUES (2, 2, 1, 'opened', 'root', 'alice', 'admin1:4f1c', 4711, '2026-11-23 03:15:07.804933');
INSERT INTO public.runs VALUES (3, 3, 1, 'opened', 'root', 'alice', 'admin1:4f1c', 4711, '2026-11-23 03:15:07.811425');
INSERT INTO public.volumes VALUES (3, 'vol3', 'san', 'vol3', 'lv:vol3-uuid', 10737418240, NULL, NULL, '2026-11-23 03:15:07.774117');
INSERT INTO public.volumes VALUES (4, 'grün', 'san', 'grün', 'lv:grün-uuid', 10737418240, NULL, 'maintenance', '2026-11-23 03:15:07.776514');
INSERT INTO public.volumes VALUES (1, 'vol1', 'san', 'vol1', 'lv:vol1-uuid', 21474836480, 'web', NULL, '2026-11-23 03:15:07.765911');
INSERT INTO public.volumes VALUES (2, 'vol2', 'san', 'vol2', 'lv:vol2-uuid', 21474836480, NULL, NULL, '2026-11-23 03:15:07.771506');
SELECT pg_catalog.setval('public.attachments_id_seq', 2, true);
SELECT pg_catalog.setval('public.deeds_seq_seq', 1, true);
SELECT pg_catalog.setval('public.operations_id_seq', 3, true);
SELECT pg_catalog.setval('public.records_seq_seq', 2, true);
SELECT pg_catalog.setval('public.runs_seq_seq', 3, true);
SELECT pg_catalog.setval('public.volumes_id_seq', 4, true);
ALTER TABLE ONLY public.alembic_version
    ADD CONSTRAINT pk_alembic_version PRIMARY KEY (version_num);
ALTER TABLE ONLY public.attachments
    ADD CONSTRAINT pk_attachments PRIMARY KEY (id);
ALTER TABLE ONLY public.deeds
    ADD CONSTRAINT pk_deeds PRIMARY KEY (seq);
ALTER TABLE ONLY public.operations
    ADD CONSTRAINT pk_operations PRIMARY KEY (id);
ALTER TABLE ONLY public.records
    ADD CONSTRAINT pk_records PRIMARY KEY (seq);
ALTER TABLE ONLY public.runs
    ADD CONSTRAINT pk_runs PRIMARY KEY (seq);
ALTER TABLE ONLY public.volumes
    ADD CONSTRAINT pk_volumes PRIMARY KEY (id);
ALTER TABLE ONLY public.attachments
    ADD CONSTRAINT uq_attachments_volume_id_host_compute_domain_server UNIQUE (volume_id, host, compute, domain, server);
ALTER TABLE ONLY public.operations
    ADD CONSTRAINT uq_operations_open_volume UNIQUE (open_volume);
ALTER TABLE ONLY public.volumes
    ADD CONSTRAINT uq_volumes_name UNIQUE (name);
ALTER TABLE ONLY public.volumes
    ADD CONSTRAINT uq_volumes_source_identity UNIQUE (source_identity);
CREATE INDEX ix_deeds_operation_id_seq ON public.deeds USING btree (operation_id, seq);
CREATE INDEX ix_operations_pool_key ON public.operations USING btree (pool_key);
CREATE INDEX ix_operations_state ON public.operations USING btree (state);
CREATE INDEX ix_operations_volume_id ON public.operations USING btree (volume_id);
CREATE INDEX ix_records_operation_id_seq ON public.records USING btree (operation_id, seq);
CREATE INDEX ix_runs_operation_id_seq ON public.runs USING btree (operation_id, seq);
CREATE INDEX ix_volumes_project ON public.volumes USING btree (project);
ALTER TABLE ONLY public.attachments
    ADD CONSTRAINT fk_attachments_volume_id FOREIGN KEY (volume_id) REFERENCES public.volumes(id);
ALTER TABLE ONLY public.deeds
    ADD CONSTRAINT fk_deeds_operation_id FOREIGN KEY (operation_id) REFERENCES public.operations(id);
ALTER TABLE ONLY public.operations
    ADD CONSTRAINT fk_operations_open_volume FOREIGN KEY (open_volume) REFERENCES public.volumes(id);
ALTER TABLE ONLY public.operations
    ADD CONSTRAINT fk_operations_volume_id FOREIGN KEY (volume_id) REFERENCES public.volumes(id) ON DELETE SET NULL;
ALTER TABLE ONLY public.records
    ADD CONSTRAINT fk_records_operation_id FOREIGN KEY (operation_id) REFERENCES public.operations(id);
ALTER TABLE ONLY public.runs
    ADD CONSTRAINT fk_runs_operation_id FOREIGN KEY (operation_id) REFERENCES public.operations(id);
