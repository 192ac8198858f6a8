-- The tables as an OMA makes them: its own names for keys and indexes, and MariaDB's default collation.
-- {double}, {time}, {serial}, {options} are filled in per database.
CREATE TABLE vm_replication_contexts (
  context_id varchar(64) NOT NULL PRIMARY KEY, vm_name varchar(255) NOT NULL, vmware_vm_id varchar(255) NOT NULL,
  vm_path varchar(500) NOT NULL, vcenter_host varchar(255) NOT NULL, datacenter varchar(255) NOT NULL,
  current_status varchar(32) DEFAULT 'discovered', current_job_id varchar(191) NULL,
  last_successful_job_id varchar(191) NULL, total_jobs_run int DEFAULT 0, successful_jobs int DEFAULT 0,
  failed_jobs int DEFAULT 0, created_at timestamp NULL, updated_at timestamp NULL, first_job_at timestamp NULL,
  last_job_at timestamp NULL, last_status_change timestamp NULL,
  CONSTRAINT uniq_vmware UNIQUE (vmware_vm_id, vcenter_host), CONSTRAINT uniq_name UNIQUE (vm_name, vcenter_host)
  {inline_keys}
) {options};
CREATE TABLE replication_jobs (
  id varchar(191) NOT NULL PRIMARY KEY, vm_context_id varchar(64) NULL, source_vm_id text NOT NULL,
  source_vm_name text NOT NULL, source_vm_path text NOT NULL, v_center_host text NOT NULL, datacenter text NOT NULL,
  replication_type text NOT NULL, target_network text, status varchar(191) DEFAULT 'pending',
  progress_percent {double} DEFAULT 0, current_operation text, bytes_transferred bigint DEFAULT 0,
  total_bytes bigint DEFAULT 0, transfer_speed_bps bigint DEFAULT 0, error_message text, change_id text,
  previous_change_id text, snapshot_id text, nbd_port bigint, nbd_export_name text, target_device text,
  ossea_config_id bigint, created_at {time}, updated_at {time}, started_at {time}, completed_at {time},
  vma_sync_type varchar(50), vma_current_phase varchar(100), vma_throughput_mbps decimal(10,2) DEFAULT 0,
  vma_eta_seconds int, vma_last_poll_at timestamp NULL, vma_error_classification varchar(50),
  vma_error_details text, setup_progress_percent decimal(5,2) DEFAULT 0, schedule_execution_id varchar(64),
  scheduled_by varchar(100), vm_group_id varchar(64),
  CONSTRAINT oma_job_context FOREIGN KEY (vm_context_id) REFERENCES vm_replication_contexts (context_id)
    ON DELETE CASCADE
) {options};
CREATE TABLE vm_disks (
  id {serial}, vm_context_id varchar(64) NOT NULL, job_id varchar(191) NULL, disk_id varchar(191), vm_dk_path text,
  size_gb bigint, datastore text, label text, provisioning_type text, unit_number bigint, capacity_bytes bigint,
  ossea_volume_id bigint, disk_change_id text, sync_status varchar(191) DEFAULT 'pending',
  sync_progress_percent {double} DEFAULT 0, bytes_synced bigint DEFAULT 0, created_at {time}, updated_at {time},
  CONSTRAINT oma_disk UNIQUE (vm_context_id, disk_id),
  CONSTRAINT oma_disk_context FOREIGN KEY (vm_context_id) REFERENCES vm_replication_contexts (context_id)
    ON DELETE CASCADE,
  CONSTRAINT oma_disk_job FOREIGN KEY (job_id) REFERENCES replication_jobs (id) ON DELETE CASCADE
) {options};
CREATE TABLE ossea_volumes (
  id {serial}, vm_context_id varchar(64) NULL, volume_id varchar(191) UNIQUE, volume_name text, size_gb bigint,
  ossea_config_id bigint, volume_type text, device_path text, mount_point text,
  status varchar(191) DEFAULT 'creating', created_at {time}, updated_at {time},
  CONSTRAINT oma_volume_context FOREIGN KEY (vm_context_id) REFERENCES vm_replication_contexts (context_id)
) {options};
CREATE TABLE cbt_history (
  id {serial}, vm_context_id varchar(64) NULL, job_id varchar(191) NULL, disk_id varchar(191), change_id text,
  previous_change_id text, sync_type varchar(50), blocks_changed bigint, bytes_transferred bigint,
  sync_duration_seconds bigint, sync_success {bool}, created_at {time},
  CONSTRAINT oma_cbt_job FOREIGN KEY (job_id) REFERENCES replication_jobs (id) ON DELETE CASCADE
) {options};
CREATE INDEX oma_status_updated ON replication_jobs (status, updated_at);
