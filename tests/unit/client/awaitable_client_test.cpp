#include <mpr/awaitable_client.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "tests/unit/client/client_bed.hpp"

namespace mpr::client {
namespace {

using Texts = std::vector<std::string>;

class AwaitableClientTest : public ClientBed {};

struct Ended {
  bool& flag;
  ~Ended() { flag = true; }
};

boost::asio::awaitable<void> pick_up(AwaitableClient& client, Texts& story) {
  const Outcome<void> connected = co_await client.connect();
  story.emplace_back(connected ? "connected" : connected.error().text());
  NewMessage message{.connection_id = "phone-1", .payload = "{}"};
  const Outcome<AddedMessage> added = co_await client.add_message(std::move(message));
  story.push_back(added ? added->message_id : added.error().text());
  const Outcome<bool> opened = co_await client.add_live_session("phone-1", "session-1");
  story.emplace_back(opened && *opened ? "opened" : "not opened");
  const Outcome<Acknowledgement> left = co_await client.acknowledge("phone-1", Texts{"m-1"});
  story.push_back(left ? std::to_string(left->remaining) + " left" : left.error().text());
  co_await client.close();
  story.emplace_back("closed");
}

TEST_F(AwaitableClientTest, TellsItsStoryInOneCoroutine) {
  make_client(quick_options());
  AwaitableClient awaitable(*client);
  Texts story;

  boost::asio::co_spawn(io, pick_up(awaitable, story), boost::asio::detached);
  run_until([&] { return !story.empty() && story.back() == "closed"; });

  EXPECT_EQ(story, (Texts{"connected", "m-1", "opened", "2 left", "closed"}));
}

boost::asio::awaitable<void> wait_for_ever(AwaitableClient& client, bool& ended) {
  const Ended at_the_end{ended};
  co_await client.ping();
  ADD_FAILURE() << "the call was not to come back";
}

TEST_F(AwaitableClientTest, DestroysCoroutinesThatWaitWhenTheClientIsDestroyed) {
  connect();
  gateway.answers["ping"] = "";
  AwaitableClient awaitable(*client);
  bool ended = false;
  boost::asio::co_spawn(io, wait_for_ever(awaitable, ended), boost::asio::detached);
  run_until([&] { return gateway.count("ping") == 1; });

  client.reset();
  run_until([&] { return ended; });
}

}  // namespace
}  // namespace mpr::client
