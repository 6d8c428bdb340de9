#include "store/redis/directory_inbox.hpp"

#include <gtest/gtest.h>

#include <thread>

#include "tests/contract/live_directory_contract.hpp"
#include "tests/support/fake_clock.hpp"

namespace mpr::redis {

namespace {

using test::FakeClock;
using test::RecordingListener;

const Speaker kSelf{GatewayId("self"), 1};
const Speaker kPeer{GatewayId("peer"), 2};
const Connection kPhone{TenantId(), ConnectionId("phone")};

class DirectoryInboxTest : public testing::Test {
 protected:
  using Channel = DirectoryInbox::Channel;
  void hear(const Speaker& speaker, ChannelContent content) {
    inbox_.on_message(encode({speaker, std::move(content)}));
  }
  std::vector<std::string> events() const { return listener_.events(); }

  FakeClock clock_;
  RecordingListener listener_;
  std::vector<std::string> left_;
  int overlooked_ = 0;
  DirectoryInbox inbox_{kSelf,
                        std::chrono::seconds(1),
                        clock_,
                        {[this](const GatewayId& gateway) { left_.push_back(gateway.value); },
                         [this] { ++overlooked_; }}};
};

}  // namespace

TEST_F(DirectoryInboxTest, TellsTheListenerWhatOthersSay) {
  inbox_.listen(listener_);
  hear(kPeer, Announced{1, kPhone, Position{7}});
  hear(kPeer, Superseded{2, kPhone, Epoch{8}});
  hear(kPeer, Overlooked{3});
  hear(kPeer, ListenerCame{TenantId("t")});
  hear(kPeer, Left{});
  EXPECT_EQ(events(), (std::vector<std::string>{"announced phone at 7", "superseded phone",
                                                "listener of t"}));
  EXPECT_EQ(listener_.epochs(), std::vector<Epoch>{Epoch{8}});
  EXPECT_EQ(left_, std::vector<std::string>{"peer"});
  EXPECT_EQ(overlooked_, 1);
  hear(kPeer, Beacon{3});
  clock_.advance(std::chrono::hours(1));
  EXPECT_FALSE(inbox_.lost()) << "each was counted";
}

TEST_F(DirectoryInboxTest, IsDeafToWhatItsOwnGatewayTellsEverybody) {
  inbox_.listen(listener_);
  hear(kSelf, Superseded{0, kPhone, Epoch{8}});
  hear(kSelf, Overlooked{1});
  hear(kSelf, ListenerCame{TenantId("t")});
  StoredMessage message;
  message.payload = make_payload("{}");
  hear(kSelf, OrphanMessage{kPhone, Epoch{1}, message});
  hear(kSelf, Left{});
  EXPECT_TRUE(events().empty());
  EXPECT_TRUE(left_.empty());
  EXPECT_EQ(overlooked_, 0);
}

TEST_F(DirectoryInboxTest, HearsAnIncarnationOfTheSameNameThatLeft) {
  hear({GatewayId("self"), 99}, Left{});
  EXPECT_EQ(left_, std::vector<std::string>{"self"});
}

TEST_F(DirectoryInboxTest, IgnoresWhatItCannotRead) {
  inbox_.listen(listener_);
  inbox_.on_message("");
  inbox_.on_message("9?nonsense");
  EXPECT_TRUE(events().empty());
}

TEST_F(DirectoryInboxTest, NoticesALostAnnouncement) {
  inbox_.listen(listener_);
  hear(kPeer, Announced{2, kPhone, Position{7}});
  EXPECT_FALSE(inbox_.lost());
  clock_.advance(std::chrono::seconds(1));
  EXPECT_TRUE(inbox_.lost());
  EXPECT_FALSE(inbox_.lost());
}

TEST_F(DirectoryInboxTest, CountsALostNoticeOfANewerSession) {
  hear(kPeer, Announced{1, kPhone, Position{7}});
  hear(kPeer, Superseded{3, kPhone, Epoch{8}});
  clock_.advance(std::chrono::seconds(1));
  EXPECT_TRUE(inbox_.lost());
}

TEST_F(DirectoryInboxTest, NoticesTrailingLossesByTheBeacon) {
  hear(kPeer, Announced{1, kPhone, Position{7}});
  hear(kPeer, Beacon{2});
  clock_.advance(std::chrono::seconds(1));
  EXPECT_TRUE(inbox_.lost());
}

TEST_F(DirectoryInboxTest, TakesEachSubscriptionForALoss) {
  inbox_.on_connected(Channel::own);
  EXPECT_TRUE(inbox_.lost());
  EXPECT_FALSE(inbox_.lost());
  inbox_.on_connected(Channel::common);
  EXPECT_TRUE(inbox_.lost());
}

TEST_F(DirectoryInboxTest, WaitsUntilBothSubscriptionsStand) {
  inbox_.on_connected(Channel::own);
  inbox_.on_connected(Channel::own);
  EXPECT_FALSE(inbox_.wait_connected(std::chrono::steady_clock::now()));
  std::thread other([this] { inbox_.on_connected(Channel::common); });
  EXPECT_TRUE(inbox_.wait_connected(std::chrono::steady_clock::now() + std::chrono::seconds(10)));
  other.join();
}

TEST_F(DirectoryInboxTest, CallsNobodyAfterItWasClosed) {
  inbox_.listen(listener_);
  inbox_.close();
  hear(kPeer, Announced{1, kPhone, Position{7}});
  hear(kPeer, Left{});
  inbox_.tell([](LiveDirectoryListener& listener) { listener.on_gap(); });
  EXPECT_TRUE(events().empty());
  EXPECT_TRUE(left_.empty());
  EXPECT_EQ(listener_.gaps(), 0U);
}

}  // namespace mpr::redis
