BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT pk_alembic_version PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0002');
CREATE TABLE attachments (
	id INTEGER NOT NULL, 
	volume_id INTEGER NOT NULL, 
	host VARCHAR(255) NOT NULL, 
	compute VARCHAR(32) NOT NULL, 
	domain VARCHAR(255) NOT NULL, 
	server VARCHAR(64) NOT NULL, 
	device TEXT, 
	mountpoint TEXT, 
	size BIGINT, 
	lagging BOOLEAN NOT NULL, 
	CONSTRAINT pk_attachments PRIMARY KEY (id), 
	CONSTRAINT uq_attachments_volume_id_host_compute_domain_server UNIQUE (volume_id, host, compute, domain, server), 
	CONSTRAINT ck_attachments_size CHECK (size > 0), 
	CONSTRAINT fk_attachments_volume_id FOREIGN KEY(volume_id) REFERENCES volumes (id)
);
INSERT INTO "attachments" VALUES(1,1,'web1','linux','','','sdb','/srv/vol1',21474836480,0);
INSERT INTO "attachments" VALUES(2,2,'web2','libvirt','guest','',NULL,NULL,NULL,0);
CREATE TABLE deeds (
	seq INTEGER NOT NULL, 
	operation_id INTEGER NOT NULL, 
	host VARCHAR(255) NOT NULL, 
	argv JSON NOT NULL, 
	status INTEGER, 
	output TEXT NOT NULL, 
	started_at DATETIME NOT NULL, 
	ended_at DATETIME, stdin TEXT, 
	CONSTRAINT pk_deeds PRIMARY KEY (seq), 
	CONSTRAINT fk_deeds_operation_id FOREIGN KEY(operation_id) REFERENCES operations (id)
);
INSERT INTO "deeds" VALUES(1,1,'silo','["lvextend", "--yes", "--size", "21474836480b", "vg0/vol1"]',0,'  Logical volume vg0/vol1 successfully resized.
','2026-11-22 10:00:00.000000','2026-11-22 10:00:00.000000',NULL);
CREATE TABLE operations (
	id INTEGER NOT NULL, 
	volume_id INTEGER, 
	volume VARCHAR(255) NOT NULL, 
	open_volume INTEGER, 
	kind VARCHAR(32) NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	"before" BIGINT NOT NULL, 
	goal BIGINT NOT NULL, 
	trunk_settled BOOLEAN NOT NULL, 
	targets JSON NOT NULL, 
	options JSON NOT NULL, 
	decision JSON NOT NULL, 
	reason TEXT, 
	error JSON, 
	epoch INTEGER NOT NULL, 
	owner_user VARCHAR(255) NOT NULL, 
	owner_sudo_user VARCHAR(255), 
	owner_machine VARCHAR(400) NOT NULL, 
	owner_boot_id VARCHAR(64) NOT NULL, 
	owner_pid BIGINT NOT NULL, 
	owner_started BIGINT NOT NULL, 
	heartbeat DATETIME NOT NULL, 
	pool_key VARCHAR(255), 
	reserved BIGINT NOT NULL, 
	released_at DATETIME, 
	opened_at DATETIME NOT NULL, 
	closed_at DATETIME, 
	CONSTRAINT pk_operations PRIMARY KEY (id), 
	CONSTRAINT ck_operations_before CHECK (before > 0), 
	CONSTRAINT ck_operations_goal CHECK (goal > 0), 
	CONSTRAINT ck_operations_reserved CHECK (reserved >= 0), 
	CONSTRAINT fk_operations_volume_id FOREIGN KEY(volume_id) REFERENCES volumes (id) ON DELETE SET NULL, 
	CONSTRAINT uq_operations_open_volume UNIQUE (open_volume), 
	CONSTRAINT fk_operations_open_volume FOREIGN KEY(open_volume) REFERENCES volumes (id)
);
INSERT INTO "operations" VALUES(1,1,'vol1',NULL,'extend','done',10737418240,21474836480,1,'{"silo/lv/vol1-uuid": 21474836480}','{"no_filesystem": false, "grow_lv": null, "fill": false, "offline": false}','["volume:extend allows alice", "volume:extend_attached_volume allows alice"]','ticket 4711',NULL,1,'root','alice','admin1:4f1c','0b1e7e52-6f4d-4c43-9d5c-3d9f6a1b2c3d',4711,123456,'2026-11-23 03:15:06.959000','vg-uuid',10737418240,'2026-11-23 03:15:06.957000','2026-11-23 03:15:06.938000','2026-11-23 03:15:06.960000');
INSERT INTO "operations" VALUES(2,2,'vol2',NULL,'extend','incomplete',10737418240,21474836480,1,'{"silo/lv/vol1-uuid": 21474836480}','{"no_filesystem": false, "grow_lv": null, "fill": false, "offline": false}','["volume:extend allows alice", "volume:extend_attached_volume allows alice"]','ticket 4711','{"code": "host-failed", "message": "web2 did not follow", "hint": "", "reasons": []}',1,'root','alice','admin1:4f1c','0b1e7e52-6f4d-4c43-9d5c-3d9f6a1b2c3d',4711,123456,'2026-11-23 03:15:06.972000',NULL,0,'2026-11-23 03:15:06.964000','2026-11-23 03:15:06.962000','2026-11-23 03:15:06.972000');
INSERT INTO "operations" VALUES(3,3,'vol3',3,'extend','open',10737418240,21474836480,0,'{"silo/lv/vol1-uuid": 21474836480}','{"no_filesystem": false, "grow_lv": null, "fill": false, "offline": false}','["volume:extend allows alice", "volume:extend_attached_volume allows alice"]','ticket 4711',NULL,1,'root','alice','admin1:4f1c','0b1e7e52-6f4d-4c43-9d5c-3d9f6a1b2c3d',4711,123456,'2026-11-23 03:15:06.980000','vg-uuid',10737418240,NULL,'2026-11-23 03:15:06.977000',NULL);
CREATE TABLE records (
	seq INTEGER NOT NULL, 
	operation_id INTEGER NOT NULL, 
	epoch INTEGER NOT NULL, 
	"key" VARCHAR(760) NOT NULL, 
	host VARCHAR(255) NOT NULL, 
	kind VARCHAR(32) NOT NULL, 
	name TEXT NOT NULL, 
	"before" BIGINT, 
	target BIGINT, 
	"after" BIGINT, 
	outcome VARCHAR(16), 
	note TEXT NOT NULL, 
	error JSON, 
	measured_at DATETIME NOT NULL, 
	settled_at DATETIME, archive TEXT, 
	CONSTRAINT pk_records PRIMARY KEY (seq), 
	CONSTRAINT fk_records_operation_id FOREIGN KEY(operation_id) REFERENCES operations (id)
);
INSERT INTO "records" VALUES(1,1,1,'silo/lv/vol1-uuid','silo','lv','vg0/vol1',10737418240,21474836480,21474836480,'grown','',NULL,'2026-11-23 03:15:06.945000','2026-11-23 03:15:06.953000',NULL);
INSERT INTO "records" VALUES(2,3,1,'silo/lv/vol3-uuid','silo','lv','vg0/vol3',10737418240,21474836480,NULL,NULL,'',NULL,'2026-11-23 03:15:06.980000',NULL,NULL);
CREATE TABLE runs (
	seq INTEGER NOT NULL, 
	operation_id INTEGER NOT NULL, 
	epoch INTEGER NOT NULL, 
	what VARCHAR(16) NOT NULL, 
	user VARCHAR(255) NOT NULL, 
	sudo_user VARCHAR(255), 
	machine VARCHAR(400) NOT NULL, 
	pid BIGINT NOT NULL, 
	began_at DATETIME, 
	CONSTRAINT pk_runs PRIMARY KEY (seq), 
	CONSTRAINT fk_runs_operation_id FOREIGN KEY(operation_id) REFERENCES operations (id)
);
INSERT INTO "runs" VALUES(1,1,1,'opened','root','alice','admin1:4f1c',4711,'2026-11-23 03:15:06.938000');
INSERT INTO "runs" VALUES(2,2,1,'opened','root','alice','admin1:4f1c',4711,'2026-11-23 03:15:06.962000');
INSERT INTO "runs" VALUES(3,3,1,'opened','root','alice','admin1:4f1c',4711,'2026-11-23 03:15:06.977000');
CREATE TABLE volumes (
	id INTEGER NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	backend VARCHAR(255) NOT NULL, 
	source TEXT NOT NULL, 
	source_identity VARCHAR(760) NOT NULL, 
	size BIGINT NOT NULL, 
	project VARCHAR(255), 
	admin_status VARCHAR(32), 
	created_at DATETIME NOT NULL, 
	CONSTRAINT pk_volumes PRIMARY KEY (id), 
	CONSTRAINT ck_volumes_size CHECK (size > 0), 
	CONSTRAINT uq_volumes_name UNIQUE (name), 
	CONSTRAINT uq_volumes_source_identity UNIQUE (source_identity)
);
INSERT INTO "volumes" VALUES(1,'vol1','san','vol1','lv:vol1-uuid',21474836480,'web',NULL,'2026-11-23 03:15:06.900000');
INSERT INTO "volumes" VALUES(2,'vol2','san','vol2','lv:vol2-uuid',21474836480,NULL,NULL,'2026-11-23 03:15:06.913000');
INSERT INTO "volumes" VALUES(3,'vol3','san','vol3','lv:vol3-uuid',10737418240,NULL,NULL,'2026-11-23 03:15:06.918000');
INSERT INTO "volumes" VALUES(4,'grün','san','grün','lv:grün-uuid',10737418240,NULL,'maintenance','2026-11-23 03:15:06.920000');
CREATE INDEX ix_volumes_project ON volumes (project);
CREATE INDEX ix_operations_volume_id ON operations (volume_id);
CREATE INDEX ix_operations_pool_key ON operations (pool_key);
CREATE INDEX ix_operations_state ON operations (state);
CREATE INDEX ix_records_operation_id_seq ON records (operation_id, seq);
CREATE INDEX ix_deeds_operation_id_seq ON deeds (operation_id, seq);
CREATE INDEX ix_runs_operation_id_seq ON runs (operation_id, seq);
COMMIT;
