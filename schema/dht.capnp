# What DHT nodes say to each other (docs/protocols/dht-wire.md has the rules and bounds).
#
# Numbers of fields never change, and are never given to something else; what is new gets the next
# one. A reader that does not know a body drops the message.
@0xd36be678a5f8a89a;

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("quicmesh::schema::dht");

struct Message {
  request @0 :UInt32;
  # Chosen by who asks, among those that it has open with the peer; the answer repeats it.

  server @1 :Bool;
  # The sender serves others and may stand in their tables.

  senderRecord @2 :Data;
  # The sender's own endpoint record: with its first message over a connection, and when it has a
  # new one. Else empty.

  union {
    none @3 :Void;
    # Nothing was set: no message.

    ping @4 :Void;
    findNode @5 :FindNode;

    pong @6 :Void;
    nodes @7 :List(Contact);
    # Answers findNode, the nearest first, without the one who asked.
    busy @8 :Void;
    # Answers any request that the sender has no time for.

    get @9 :Get;
    put @10 :Put;
    found @11 :Found;
    # Answers get.
    putAnswer @12 :PutStatus;

    express @13 :Express;
    expressAnswer @14 :ExpressAnswer;

    provide @15 :Data;
    # The sender's own provider record; putAnswer answers.
    getProviders @16 :FindNode;
    # Of what stands under the key; with as many nodes, 1 to 40, as findNode.
    providers @17 :Providers;
    # Answers getProviders.
  }
}

# 32 bytes stand as four words in keys, since a list of bytes would need a pointer and a check of
# its length: byte i is bits 8 * (i mod 8) and up of word i / 8.

struct FindNode {
  key0 @0 :UInt64;
  key1 @1 :UInt64;
  key2 @2 :UInt64;
  key3 @3 :UInt64;
  count @4 :UInt8;
  # 1 to 40.
}

enum ValueKind {
  immutable @0;
  signedValue @1;
}

struct Get {
  key0 @0 :UInt64;
  key1 @1 :UInt64;
  key2 @2 :UInt64;
  key3 @3 :UInt64;
  kind @4 :ValueKind;
  count @5 :UInt8;
  # 1 to 40, as for findNode.
}

struct Put {
  key0 @0 :UInt64;
  key1 @1 :UInt64;
  key2 @2 :UInt64;
  key3 @3 :UInt64;
  kind @4 :ValueKind;
  lifetimeSeconds @5 :UInt32;
  value @6 :Data;
}

struct Found {
  hasValue @0 :Bool;
  # An empty value is one, too.
  value @1 :Data;
  nodes @2 :List(Contact);
}

enum PutStatus {
  stored @0;
  invalid @1;
  older @2;
  full @3;
  unwilling @4;
  overQuota @5;
  # The provider, or its network, has as many provider records there as it may.
}

struct Provider {
  record @0 :Data;
  # The provider record, signed by the provider: who it is follows from the key in it.
  endpoint @1 :Data;
  # Its endpoint record; empty if the sender has none that may be shown here.
}

struct Providers {
  providers @0 :List(Provider);
  # At most 8.
  full @1 :Bool;
  # The sender keeps as many as it can: there may be more with nodes farther from the key.
  nodes @2 :List(Contact);
  # As in nodes, at most 30.
}

struct Express {
  # To be passed on to a peer nearer to the target, over a connection that stands.
  key0 @0 :UInt64;
  key1 @1 :UInt64;
  key2 @2 :UInt64;
  key3 @3 :UInt64;
  want @4 :ExpressWant;
  way @5 :ExpressWay;
  hopsLeft @6 :UInt8;
}

enum ExpressWant {
  node @0;
  # Who stands at the key, with its endpoint record.
  value @1;
  # The immutable value under the key.
}

enum ExpressWay {
  near @0;
  # By latency.
  far @1;
  # Without regard to it.
}

struct ExpressAnswer {
  union {
    deadEnd @0 :Void;
    node @1 :Contact;
    value @2 :Data;
  }
}

struct Contact {
  key0 @0 :UInt64;
  key1 @1 :UInt64;
  key2 @2 :UInt64;
  key3 @3 :UInt64;
  # The NodeId.

  record @4 :Data;
  # Its endpoint record; empty if the sender has none that may be shown here.
}
