"""The types of DSTK: keys, key ranges, etags, times to live, ids. Pure; imports no other member."""

from dstk_keytypes import limits as limits
from dstk_keytypes.codec import Part as Part
from dstk_keytypes.errors import DstkError as DstkError
from dstk_keytypes.errors import InvalidArgument as InvalidArgument
from dstk_keytypes.errors import InvalidEtag as InvalidEtag
from dstk_keytypes.errors import InvalidId as InvalidId
from dstk_keytypes.errors import InvalidInput as InvalidInput
from dstk_keytypes.errors import InvalidKey as InvalidKey
from dstk_keytypes.errors import InvalidRange as InvalidRange
from dstk_keytypes.errors import InvalidTtl as InvalidTtl
from dstk_keytypes.errors import InvalidValue as InvalidValue
from dstk_keytypes.ids import Etag as Etag
from dstk_keytypes.ids import NodeId as NodeId
from dstk_keytypes.ids import PartitionId as PartitionId
from dstk_keytypes.ids import Ttl as Ttl
from dstk_keytypes.key import Key as Key
from dstk_keytypes.key_range import KeyRange as KeyRange
