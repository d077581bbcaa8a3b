// Tests of node_host.hpp: who hears an event when listeners come and go meanwhile. No node is
// started.
#include "node_host.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace quicmesh::cli {
namespace {

class NodeHostListeners : public testing::Test {
 protected:
  NodeHost host_{*Settings::load({}, "")};
  std::vector<int> heard_;

  void tell() { host_.tell(event::PeerUp{}); }
  [[nodiscard]] NodeHost::Listener listener(int number) {
    return [this, number](const Event&) { heard_.push_back(number); };
  }
};

TEST_F(NodeHostListeners, one_that_is_ended_by_another_one_hears_nothing_any_more) {
  std::unique_ptr<NodeHost::Subscription> second;
  const auto first = host_.subscribe([&](const Event&) {
    heard_.push_back(1);
    second.reset();
  });
  second = host_.subscribe(listener(2));
  const auto third = host_.subscribe(listener(3));
  tell();
  tell();
  EXPECT_EQ(heard_, (std::vector{1, 3, 1, 3}));
}

TEST_F(NodeHostListeners, one_may_end_itself_and_still_use_what_it_holds) {
  std::unique_ptr<NodeHost::Subscription> own;
  const auto held = std::make_shared<int>(1);
  own = host_.subscribe([this, &own, held](const Event&) {
    own.reset();
    heard_.push_back(*held);
  });
  tell();
  tell();
  EXPECT_EQ(heard_, std::vector{1});
  EXPECT_EQ(held.use_count(), 1);
}

TEST_F(NodeHostListeners, one_that_is_added_by_another_one_hears_the_next_event) {
  std::unique_ptr<NodeHost::Subscription> second;
  const auto first = host_.subscribe([&](const Event&) {
    heard_.push_back(1);
    if (!second) second = host_.subscribe(listener(2));
  });
  tell();
  EXPECT_EQ(heard_, std::vector{1});
  tell();
  EXPECT_EQ(heard_, (std::vector{1, 1, 2}));
}

}  // namespace
}  // namespace quicmesh::cli
