"""The tables as SQLAlchemy Core sees them: hot statements are written against these."""

from typing import Final

from sqlalchemy import Table

import db.models

_TABLES: Final = db.models.ReplicationJob.metadata.tables

JOBS: Final[Table] = _TABLES[str(db.models.ReplicationJob.__tablename__)]
DISKS: Final[Table] = _TABLES[str(db.models.VmDisk.__tablename__)]
VOLUMES: Final[Table] = _TABLES[str(db.models.OsseaVolume.__tablename__)]
CONTEXTS: Final[Table] = _TABLES[str(db.models.ReplicationContext.__tablename__)]
CBT: Final[Table] = _TABLES[str(db.models.CbtHistory.__tablename__)]
POLLING: Final[Table] = _TABLES[str(db.models.PollingState.__tablename__)]
HISTORY: Final[Table] = _TABLES[str(db.models.JobHistory.__tablename__)]
POLLS: Final[Table] = _TABLES[str(db.models.PollHistory.__tablename__)]
RUNS: Final[Table] = _TABLES[str(db.models.RecoveryRun.__tablename__)]
ADOPTION: Final[Table] = _TABLES[str(db.models.Adoption.__tablename__)]
HOLDER: Final[Table] = _TABLES[str(db.models.ServiceHolder.__tablename__)]
REPLICAS: Final[Table] = _TABLES[str(db.models.ServiceReplica.__tablename__)]
GROUP: Final[Table] = _TABLES[str(db.models.CoordinationGroup.__tablename__)]
SPECS: Final[Table] = _TABLES[str(db.models.SpecVersion.__tablename__)]
REFUSALS: Final[Table] = _TABLES[str(db.models.JobRefusal.__tablename__)]
EVENT_KEYS: Final[Table] = _TABLES[str(db.models.EventKey.__tablename__)]
APPLIANCES: Final[Table] = _TABLES[str(db.models.VmaAppliance.__tablename__)]
GUARD_MODE: Final[Table] = _TABLES[str(db.models.GuardMode.__tablename__)]
