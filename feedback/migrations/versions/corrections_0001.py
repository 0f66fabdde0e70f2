"""The table of corrections, and those of repeated ones and of photos without one."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "corrections",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("token_sha256", sa.String(64), nullable=False),
        sa.Column("created", sa.DateTime(), nullable=False),
        sa.Column("client", sa.String(32), nullable=False),
        sa.Column("model", sa.String(64), nullable=False),
        sa.Column("predicted", sa.Text(), nullable=False),
        sa.Column("confidence", sa.Double(), nullable=False),
        sa.Column("verdict", sa.String(16), nullable=False),
        sa.Column("region", sa.String(64), nullable=False),
        sa.Column("claim", sa.String(16), nullable=False),
        sa.Column("claimed", sa.Text(), nullable=False),
        sa.Column("is_known", sa.Boolean(), nullable=False),
        sa.Column("disagrees", sa.Boolean(), nullable=False),
        sa.Column("photo", sa.String(64), nullable=False),
        sa.Column("photo_bytes", sa.Integer(), nullable=False),
        sa.Column("photo_hash", sa.String(16), nullable=False),
        sa.Column("duplicate_of", sa.Integer()),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("reviewed", sa.DateTime()),
        sa.PrimaryKeyConstraint("id", name="pk_corrections"),
        sa.UniqueConstraint("token_sha256", name="uq_corrections_token_sha256"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_corrections_created", "corrections", ["created"])
    op.create_index("ix_corrections_duplicate_of", "corrections", ["duplicate_of"])
    op.create_index("ix_corrections_review", "corrections", ["status", "disagrees", "confidence", "id"])
    op.create_index("ix_corrections_client", "corrections", ["client", "created"])
    op.create_table(
        "repeat_tokens",
        sa.Column("token_sha256", sa.String(64), nullable=False),
        sa.Column("correction_id", sa.Integer(), nullable=False),
        sa.Column("created", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("token_sha256", name="pk_repeat_tokens"),
        sa.ForeignKeyConstraint(
            ["correction_id"], ["corrections.id"], name="fk_repeat_tokens_correction_id", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_repeat_tokens_correction_id", "repeat_tokens", ["correction_id"])
    op.create_table(
        "stray_photos",
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("photo_bytes", sa.Integer(), nullable=False),
        sa.Column("created", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_stray_photos"),
    )
    op.create_index("ix_stray_photos_created", "stray_photos", ["created"])
