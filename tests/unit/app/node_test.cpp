// The wiring as a whole, without its protocol: tests/e2e drives the real process.
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <string>

#include "app/configuration.hpp"
#include "app/wiring.hpp"
#include "net/listener.hpp"

namespace mpr {
namespace {

class NodeTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "mpr-node-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  Settings settings(Backend backend) {
    const Configuration configuration = configure({}, {{"WS_PORT", "0"}, {"APP_PORT", "0"}});
    Settings chosen = configuration.settings;
    chosen.backend = backend;
    chosen.data_dir = directory_ / "data";
    return chosen;
  }

  std::filesystem::path directory_;
};

TEST_F(NodeTest, ListensOnPortsOfTheSystemsChoiceAndDrains) {
  for (const Backend backend : {Backend::embedded, Backend::memory}) {
    auto node = Node::start(settings(backend), {});
    ASSERT_TRUE(node) << node.error().context;
    EXPECT_NE((*node)->ws_port(), 0);
    EXPECT_NE((*node)->app_port(), 0);
    EXPECT_EQ((*node)->restored_sessions(), 0U);
    const std::uint16_t port = (*node)->ws_port();
    EXPECT_TRUE((*node)->drain());
    EXPECT_TRUE((*node)->drain());
    EXPECT_TRUE(Listener::open("127.0.0.1", port)) << "the port is free again";
  }
}

TEST_F(NodeTest, OpensItsDataDirectoryAgainAfterADrain) {
  for (int round = 0; round < 3; ++round) {
    auto node = Node::start(settings(Backend::embedded), {});
    ASSERT_TRUE(node) << node.error().context;
  }
}

TEST_F(NodeTest, SaysWhichPortIsTaken) {
  const auto taken = Listener::open("127.0.0.1", 0);
  ASSERT_TRUE(taken);
  const std::string number = std::to_string(taken->port());
  Settings ws = settings(Backend::memory);
  ws.ws_port = taken->port();
  const auto first = Node::start(ws, {});
  ASSERT_FALSE(first);
  EXPECT_NE(first.error().context.find(number), std::string::npos) << first.error().context;
  EXPECT_TRUE(first.error().context.ends_with("(WS_PORT)")) << first.error().context;

  Settings app = settings(Backend::memory);
  app.app_port = taken->port();
  const auto second = Node::start(app, {});
  ASSERT_FALSE(second);
  EXPECT_TRUE(second.error().context.ends_with("(APP_PORT)")) << second.error().context;
}

TEST_F(NodeTest, RefusesADataDirectoryThatAnotherNodeHas) {
  const auto first = Node::start(settings(Backend::embedded), {});
  ASSERT_TRUE(first) << first.error().context;
  const auto second = Node::start(settings(Backend::embedded), {});
  ASSERT_FALSE(second);
  EXPECT_NE(second.error().context.find((directory_ / "data").string()), std::string::npos)
      << second.error().context;
}

}  // namespace
}  // namespace mpr
