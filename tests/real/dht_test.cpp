// The DHT over real sockets: a mesh of which every node is told one other, on one runtime.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <set>
#include <vector>

#include "dht/dht_errc.hpp"
#include "tests/real/real_node.hpp"

namespace quicmesh::real {
namespace {

constexpr auto name = "test/echo/1";

using Mesh = std::vector<std::shared_ptr<Node>>;

/// `count` nodes; all but the first are told of the first alone. Returns when each knows one.
awaitable<Result<Mesh>> start_mesh(std::size_t count) {
  const Executor executor = co_await asio::this_coro::executor;
  auto runtime = Runtime::start();
  if (!runtime) co_return failure(runtime.error());
  Mesh mesh;
  for (std::size_t i = 0; i < count; ++i) {
    Config config = loopback(*runtime);
    config.dht = i == 0 ? DhtRole::server : DhtRole::automatic;
    if (i > 0) config.bootstrap.push_back(address_of(*mesh.front()));
    auto starting = Node::start(executor, std::move(config));
    auto node = co_await std::move(starting);
    if (!node) co_return failure(node.error());
    mesh.push_back(std::move(*node));
    const auto handled = mesh.back()->handle(name, echo);
    if (!handled) co_return failure(handled.error());
  }
  for (const auto& node : mesh) {
    while (true) {
      auto asking = node->dht_status();
      const auto status = co_await std::move(asking);
      if (!status) co_return failure(status.error());
      if (status->contacts > 0) break;
      auto resting = pause(std::chrono::milliseconds(10));
      co_await std::move(resting);
    }
  }
  co_return mesh;
}

awaitable<void> close_all(Mesh& mesh) {
  for (const auto& node : mesh) {
    auto closing = node->close();
    (void)co_await std::move(closing);
  }
}

TEST(RealDht, nodes_that_were_told_of_one_dial_each_other_by_id_alone) {
  run([](asio::io_context&) -> awaitable<void> {
    auto starting = start_mesh(12);
    auto mesh = co_await std::move(starting);
    CO_ASSERT_OK(mesh);
    for (std::size_t i = 1; i < mesh->size(); ++i) {
      const NodeId peer = (*mesh)[(i + 5) % mesh->size()]->id();
      auto dialling = (*mesh)[i]->connect(peer, name);
      auto connection = co_await std::move(dialling);
      CO_ASSERT_OK(connection);
      auto opening = connection->open_stream();
      auto stream = co_await std::move(opening);
      CO_ASSERT_OK(stream);
      auto writing = stream->write(to_bytes("hello"));
      CO_ASSERT_OK(co_await std::move(writing));
      auto finishing = stream->finish();
      CO_ASSERT_OK(co_await std::move(finishing));
      auto reading = stream->read_all(100);
      const auto back = co_await std::move(reading);
      CO_ASSERT_OK(back);
      EXPECT_EQ(*back, to_bytes("hello"));
    }
    auto closing = close_all(*mesh);
    co_await std::move(closing);
  });
}

TEST(RealDht, values_nodes_and_whereabouts_are_found) {
  run([](asio::io_context&) -> awaitable<void> {
    auto starting = start_mesh(5);
    auto mesh = co_await std::move(starting);
    CO_ASSERT_OK(mesh);
    Node& writer = *(*mesh)[1];
    Node& reader = *(*mesh)[4];
    auto putting = writer.dht_put("greeting", to_bytes("hello"));
    const auto stored = co_await std::move(putting);
    CO_ASSERT_OK(stored);
    EXPECT_GE(stored->stored, 3u);
    EXPECT_EQ(ValueKey::parse(stored->key.to_string()), stored->key);
    auto getting = reader.dht_get(stored->key);
    const auto found = co_await std::move(getting);
    CO_ASSERT_OK(found);
    EXPECT_EQ(found->value, to_bytes("hello"));
    auto getting_own = writer.dht_get("greeting");
    const auto own = co_await std::move(getting_own);
    CO_ASSERT_OK(own);
    EXPECT_EQ(own->value, to_bytes("hello"));
    auto too_long = writer.dht_put(Bytes(1025));
    const auto refused = co_await std::move(too_long);
    EXPECT_FALSE(refused);

    auto finding = reader.dht_find(writer.id());
    const auto nodes = co_await std::move(finding);
    CO_ASSERT_OK(nodes);
    CO_ASSERT(!nodes->nodes.empty());
    EXPECT_EQ(nodes->nodes.front(), writer.id());
    auto resolving = reader.resolve(writer.id());
    const auto resolved = co_await std::move(resolving);
    CO_ASSERT_OK(resolved);
    EXPECT_TRUE(resolved->found);
    EXPECT_EQ(resolved->addresses, writer.listen_addresses());
    auto asking = reader.dht_peers();
    const auto peers = co_await std::move(asking);
    CO_ASSERT_OK(peers);
    EXPECT_NE(std::ranges::find(*peers, writer.id(), &DhtPeer::node), peers->end());
    auto closing = close_all(*mesh);
    co_await std::move(closing);
  });
}

TEST(RealDht, providers_are_told_one_by_one) {
  run([](asio::io_context&) -> awaitable<void> {
    auto starting = start_mesh(6);
    auto mesh = co_await std::move(starting);
    CO_ASSERT_OK(mesh);
    const ContentKey key = ContentKey::of(to_bytes("some content"));
    EXPECT_EQ(ContentKey::parse(key.to_string()), key);
    EXPECT_FALSE(ContentKey::parse("nonsense"));
    for (const std::size_t which : {1u, 2u}) {
      auto providing = (*mesh)[which]->dht_provide(key);
      const auto provision = co_await std::move(providing);
      CO_ASSERT_OK(provision);
      EXPECT_EQ(provision->key, key);
      EXPECT_GE(provision->stored, 3u);
    }
    auto searching = (*mesh)[4]->dht_find_providers(key, 10);
    auto search = co_await std::move(searching);
    CO_ASSERT_OK(search);
    std::set<NodeId> met;
    for (;;) {
      auto waiting = search->next();
      const auto provider = co_await std::move(waiting);
      CO_ASSERT_OK(provider);
      if (!*provider) break;
      EXPECT_TRUE(met.insert((*provider)->node).second);
      const bool first = (*provider)->node == (*mesh)[1]->id();
      EXPECT_EQ((*provider)->addresses, (*mesh)[first ? 1 : 2]->listen_addresses());
    }
    EXPECT_EQ(met, (std::set{(*mesh)[1]->id(), (*mesh)[2]->id()}));
    const auto summary = search->summary();
    CO_ASSERT(summary.has_value());
    EXPECT_EQ(summary->found, 2u);
    EXPECT_TRUE(summary->figures.complete);
    // The end stays the end.
    auto again = search->next();
    const auto nothing = co_await std::move(again);
    CO_ASSERT_OK(nothing);
    EXPECT_FALSE(nothing->has_value());

    for (const bool provided : {true, false}) {
      auto asking = (*mesh)[1]->dht_status();
      const auto status = co_await std::move(asking);
      CO_ASSERT_OK(status);
      EXPECT_EQ(status->provided, provided ? 1u : 0u);
      auto stopping = (*mesh)[1]->dht_stop_providing(key);
      const auto stopped = co_await std::move(stopping);
      CO_ASSERT_OK(stopped);
      EXPECT_EQ(*stopped, provided);
    }
    auto closing = close_all(*mesh);
    co_await std::move(closing);
    auto late = search->next();  // a handle may outlive its node
    CO_ASSERT_OK(co_await std::move(late));
    auto empty = ProviderSearch().next();
    const auto refused = co_await std::move(empty);
    EXPECT_EQ(refused.error(), IoErrc::empty_handle);
  });
}

TEST(RealDht, without_it_and_of_unknown_nodes_errors_tell) {
  run([](asio::io_context&) -> awaitable<void> {
    const Executor executor = co_await asio::this_coro::executor;
    Config config = loopback();
    auto starting = Node::start(executor, std::move(config));
    auto without = co_await std::move(starting);
    CO_ASSERT_OK(without);
    auto finding = (*without)->dht_find(NodeId());
    const auto none = co_await std::move(finding);
    EXPECT_EQ(none.error(), IoErrc::dht_off);
    auto closing = (*without)->close();
    CO_ASSERT_OK(co_await std::move(closing));

    auto starting_mesh = start_mesh(3);
    auto mesh = co_await std::move(starting_mesh);
    CO_ASSERT_OK(mesh);
    const NodeId nobody{{1, 2, 3}};
    auto dialling = (*mesh)[1]->connect(nobody, name);
    const auto lost = co_await std::move(dialling);
    EXPECT_EQ(lost.error(), IoErrc::node_not_found);
    auto closing_mesh = close_all(*mesh);
    co_await std::move(closing_mesh);
  });
}

// The node whom all began with is gone, and nobody is told of another one.
TEST(RealDht, a_node_comes_back_by_its_cache) {
  const auto file = std::filesystem::path(::testing::TempDir()) / "quicmesh_real_dht_cache";
  std::filesystem::remove(file);
  run([file](asio::io_context&) -> awaitable<void> {
    const Executor executor = co_await asio::this_coro::executor;
    auto starting_mesh = start_mesh(4);
    auto mesh = co_await std::move(starting_mesh);
    CO_ASSERT_OK(mesh);
    for (const bool first_life : {true, false}) {
      Config config = loopback();
      if (first_life) config.bootstrap.push_back(address_of(*mesh->front()));
      config.dht_cache = file.string();
      auto starting = Node::start(executor, std::move(config));
      auto node = co_await std::move(starting);
      CO_ASSERT_OK(node);
      const NodeId peer = (*mesh)[2]->id();
      auto dialling = (*node)->connect(peer, name);
      const auto connection = co_await std::move(dialling);
      CO_ASSERT_OK(connection);
      auto closing = (*node)->close();
      CO_ASSERT_OK(co_await std::move(closing));
      node->reset();
      if (!first_life) break;
      CO_ASSERT(std::filesystem::exists(file));
      auto closing_front = mesh->front()->close();
      CO_ASSERT_OK(co_await std::move(closing_front));
    }
    auto closing_all = close_all(*mesh);
    co_await std::move(closing_all);
  });
}

}  // namespace
}  // namespace quicmesh::real
