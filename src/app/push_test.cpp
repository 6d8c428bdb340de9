// `mpr push-test`: sends one notification with the present configuration and explains the answer.
#include <iostream>
#include <optional>
#include <string>
#include <vector>

#include "app/commands.hpp"
#include "app/configuration.hpp"
#include "app/push_senders.hpp"
#include "app/system_clock.hpp"
#include "base/run_loop.hpp"

namespace mpr {

namespace {

constexpr std::string_view kUsage =
    R"(Usage: mpr push-test --type fcm|apns|webhook --token TOKEN [--project ID] [options]

Sends one push notification with the options, environment and files that `mpr serve` would use, and
explains the provider's answer. The token "-" is read from standard input, where other users of the
machine do not see it. Exit code: 0 the provider took it, 1 it did not, 2 wrong usage.
)";

struct Wanted {
  std::optional<PushProvider> provider;
  std::string token;
  std::string project;
  std::vector<std::string> options;  // the rest, for configure()
};

// Takes this command's own flags out of the words; nothing: one of them has no value.
std::optional<Wanted> read_words(std::span<const std::string> words) {
  Wanted wanted;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::size_t equals = words[i].find('=');
    const std::string name = words[i].substr(0, equals);
    if (name != "--type" && name != "--token" && name != "--project") {
      wanted.options.push_back(words[i]);
      continue;
    }
    if (equals == std::string::npos && i + 1 == words.size()) return std::nullopt;
    const std::string value =
        equals == std::string::npos ? words[++i] : words[i].substr(equals + 1);
    if (name == "--type") wanted.provider = parse_push_provider(value);
    if (name == "--token") wanted.token = value;
    if (name == "--project") wanted.project = value;
  }
  if (wanted.token == "-") std::getline(std::cin, wanted.token);
  return wanted;
}

std::string explanation_of(const PushVerdict& verdict) {
  switch (verdict.outcome) {
    case PushOutcome::accepted:
      return "The provider took the notification. If the phone shows nothing, look there: is the "
             "app allowed to notify, is NOTIFICATION_DATA_ONLY set?";
    case PushOutcome::token_dead:
      return "The provider knows nobody by this token: the app was removed, or the token belongs "
             "to another app, or to the other of Apple's environments (production, sandbox).";
    case PushOutcome::rejected:
      return "The provider will never take this notification.";
    case PushOutcome::misconfigured:
      return "The provider refuses us, whatever the token: check the credential files, the "
             "project or topic, and this machine's clock.";
    case PushOutcome::retry:
      return verdict.wait > std::chrono::milliseconds(0)
                 ? "The provider is busy: `mpr serve` would try again in " +
                       std::to_string(verdict.wait.count() / 1000) + " s."
                 : "The provider did not answer: check URL, name resolution, firewall and the "
                   "authorities that vouch for it (MPR_PUSH_CA_FILE).";
  }
  return "";
}

// One attempt on the senders' own thread.
class OneAttempt {
 public:
  OneAttempt(IoThread& thread, NotificationSender& sender) : thread_(thread), sender_(sender) {}

  PushVerdict run(Notification notification) {
    thread_.start();
    const PushVerdict verdict = RunLoop().run(hand_over(std::move(notification)));
    thread_.stop();
    thread_.join();
    return verdict;
  }

 private:
  Task<PushVerdict> hand_over(Notification notification) {
    const auto start = [&](Completion<PushVerdict>& done) {
      thread_.run([this, &done, n = std::move(notification)]() mutable {
        group_.spawn(attempt(std::move(n), &done));
      });
    };
    co_return co_await answer_of<PushVerdict>(start);
  }
  Task<void> attempt(Notification notification, Completion<PushVerdict>* done) {
    PushVerdict verdict = co_await sender_.send(std::move(notification));
    done->complete(std::move(verdict));
  }

  IoThread& thread_;
  NotificationSender& sender_;
  TaskGroup group_{[](std::exception_ptr exception) { std::rethrow_exception(exception); }};
};

int send_one(const Settings& settings, const Wanted& wanted) {
  SystemClock clock;
  IoThread thread("mpr-push");
  const auto opened = open_push_senders(settings, thread, clock);
  if (!opened) {
    std::cerr << "mpr: " << opened.error().context << "\n";
    return 1;
  }
  for (const std::string& note : opened->notes) std::cout << note << "\n";
  for (const std::string& warning : opened->warnings) std::cout << "warning: " << warning << "\n";
  NotificationSender* const sender = opened->senders.of(*wanted.provider);
  if (sender == nullptr) {
    std::cout << "Nothing was sent: push by " << to_string(*wanted.provider) << " is off.\n";
    return 1;
  }
  Notification notification;
  notification.connection.id = ConnectionId("mpr-push-test");
  notification.message_id = MessageId("mpr-push-test");
  notification.token = {*wanted.provider, wanted.token, wanted.project};
  const PushVerdict verdict = OneAttempt(thread, *sender).run(std::move(notification));
  std::cout << "answer: " << verdict.reason << " (" << to_string(verdict.outcome) << ")\n"
            << explanation_of(verdict) << "\n";
  return verdict.outcome == PushOutcome::accepted ? 0 : 1;
}

}  // namespace

int push_test_command(std::span<const std::string> args) {
  for (const std::string& arg : args) {
    if (arg != "--help" && arg != "-h") continue;
    std::cout << kUsage;
    return 0;
  }
  const auto wanted = read_words(args);
  if (!wanted || !wanted->provider || wanted->token.empty()) {
    std::cerr << kUsage;
    return 2;
  }
  const Configuration configuration = configure(wanted->options, process_environment());
  for (const std::string& problem : configuration.problems) std::cerr << "mpr: " << problem << "\n";
  if (!configuration.problems.empty()) return 2;
  return send_one(configuration.settings, *wanted);
}

}  // namespace mpr
