"""The Python client of DSTK: straight to the storage nodes (thick), or through a router (gateway)."""

from dstk_client.bulk import insert_sorted as insert_sorted
from dstk_client.connecting import Mode as Mode
from dstk_client.connecting import connect as connect
from dstk_client.operation import ClientClosed as ClientClosed
from dstk_client.scan import Scan as Scan
from dstk_client.sync import SyncClient as SyncClient
from dstk_client.sync import connect_sync as connect_sync
from dstk_client.types import BulkResult as BulkResult
from dstk_client.types import BulkStop as BulkStop
from dstk_client.types import Client as Client
from dstk_client.types import Page as Page
from dstk_client.types import Record as Record
