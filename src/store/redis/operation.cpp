#include "store/redis/operation.hpp"

#include <algorithm>
#include <string_view>

namespace mpr::redis {

namespace {
constexpr std::string_view kAsking = "*1\r\n$6\r\nASKING\r\n";
}

std::optional<ServerAddress> Operation::route() const {
  return asks() ? todo.front().ask : std::nullopt;
}

// A transaction always goes as a whole.
std::size_t Operation::run_length() const {
  if (todo.empty() || request.is_transaction()) return left();
  std::size_t length = 1;
  while (length < todo.size() && todo[length].ask == todo.front().ask) ++length;
  return length;
}

bool Operation::covers_all() const { return run_length() == left(); }

void Operation::begin_attempt(std::string& out) {
  run = run_length();
  answers = 0;
  troubled = false;
  if (todo.empty()) {
    awaited = run;
    out += request.bytes();
    return;
  }
  const bool ask_each = asks() && !request.is_transaction();
  if (asks() && !ask_each) out += kAsking;  // it holds for the whole transaction
  awaited = ask_each ? 2 * run : run + (asks() ? 1 : 0);
  for (std::size_t i = 0; i < run; ++i) {
    if (ask_each) out += kAsking;
    if (todo[i].with_text) {
      out += request.with_text(todo[i].command);
    } else {
      out += request.bytes_of(todo[i].command);
    }
  }
}

bool Operation::take(Value value) {
  std::size_t at = answers++;
  if (asks()) {
    if (request.is_transaction()) {
      if (at == 0) return is_answered();
      --at;
    } else {
      if (at % 2 == 0) return is_answered();
      at /= 2;
    }
  }
  if (value.is_error() && redirect_of(value.text).kind != Redirect::Kind::none) troubled = true;
  if (values.empty()) values.resize(request.commands().size());
  values[command_at(at)] = std::move(value);
  return is_answered();
}

// Sorts the first `answered` commands of the run into those that are done and those that are not.
void Operation::collect(std::size_t answered, std::vector<Todo>& rest, Verdict& verdict) {
  bool again = false;
  for (std::size_t i = 0; i < answered; ++i) {
    const std::size_t command = command_at(i);
    const Value& value = values[command];
    Redirect redirect = value.is_error() ? redirect_of(value.text) : Redirect{};
    Todo next = todo.empty() ? Todo{.command = command} : todo[i];
    switch (redirect.kind) {
      case Redirect::Kind::none:
      case Redirect::Kind::aborted:
        touched = true;
        // Later reads see the writes before them.
        if (!again || request.commands()[command].repeat == Repeat::never) continue;
        break;
      case Redirect::Kind::moved:
        verdict.moved = redirect;
        next.ask.reset();
        break;
      case Redirect::Kind::ask:
        next.ask = redirect.address;
        break;
      case Redirect::Kind::again:
        verdict.wait = true;
        verdict.read_only = verdict.read_only || value.text.starts_with("READONLY");
        next.ask.reset();
        break;
      case Redirect::Kind::no_script:
        // Without a script it is the caller's own EVALSHA.
        if (request.commands()[command].script == nullptr || next.with_text) continue;
        next.with_text = true;
        break;
    }
    again = true;
    rest.push_back(std::move(next));
  }
}

Verdict Operation::finish(std::vector<Todo> rest, Verdict verdict) {
  todo = std::move(rest);
  if (!todo.empty()) verdict.next = Verdict::Next::resend;
  return verdict;
}

// Nothing of a transaction is executed before its EXEC, and a refused command refuses the EXEC.
Verdict Operation::judge_transaction(std::size_t answered) {
  Verdict verdict;
  std::vector<Todo> refused;
  const bool was_touched = touched;
  collect(answered, refused, verdict);
  const bool any = std::any_of(refused.begin(), refused.end(), [&](const Todo& t) {
    return redirect_of(values[t.command].text).kind != Redirect::Kind::none;
  });
  if (!any && answered == run) return finish({}, verdict);
  touched = was_touched;
  std::optional<ServerAddress> ask;
  for (Todo& t : refused) {
    if (t.ask && !ask) ask = std::move(t.ask);
  }
  std::vector<Todo> all;
  for (std::size_t i = 0; i < request.commands().size(); ++i) {
    all.push_back({.command = i, .ask = verdict.moved ? std::nullopt : ask});
  }
  return finish(std::move(all), verdict);
}

Verdict Operation::judge() {
  if (!troubled) {
    touched = true;
    const bool all = covers_all();
    if (all) return {};
  }
  if (request.is_transaction()) return judge_transaction(run);
  Verdict verdict;
  std::vector<Todo> rest;
  collect(run, rest, verdict);
  for (std::size_t i = run; i < left(); ++i) rest.push_back(std::move(todo[i]));
  return finish(std::move(rest), verdict);
}

// Where each command of the run ends, from the begin of the attempt.
std::vector<std::uint64_t> Operation::ends_of_run() const {
  const bool ask_each = asks() && !request.is_transaction();
  std::vector<std::uint64_t> ends;
  std::uint64_t at = asks() && !ask_each ? kAsking.size() : 0;
  for (std::size_t i = 0; i < run; ++i) {
    if (ask_each) at += kAsking.size();
    const std::size_t command = command_at(i);
    const bool with_text = !todo.empty() && todo[i].with_text;
    at += with_text ? request.with_text(command).size() : request.bytes_of(command).size();
    ends.push_back(at);
  }
  return ends;
}

Verdict Operation::judge_broken(std::uint64_t gone) {
  const std::size_t asking = !asks() ? 0 : request.is_transaction() ? 1 : (answers + 1) / 2;
  const std::size_t answered = answers - std::min(answers, asking);
  const std::vector<std::uint64_t> ends = ends_of_run();
  const auto unanswered_left = [&](std::size_t i) { return gone >= ends[i]; };
  if (request.is_transaction()) {
    const auto& commands = request.commands();
    const bool safe = std::all_of(commands.begin(), commands.end(),
                                  [](const auto& c) { return c.repeat == Repeat::safe; });
    // What matters is whether the last command, EXEC, arrived as a whole.
    if (unanswered_left(run - 1)) {
      touched = true;
      if (!safe) return {.next = Verdict::Next::give_up};
    }
    Verdict verdict = judge_transaction(answered);
    verdict.wait = true;
    return verdict;
  }
  Verdict verdict;
  std::vector<Todo> rest;
  collect(answered, rest, verdict);
  for (std::size_t i = answered; i < run; ++i) {
    const std::size_t command = command_at(i);
    if (unanswered_left(i)) {
      touched = true;
      if (request.commands()[command].repeat == Repeat::never) {
        return {.next = Verdict::Next::give_up};
      }
    }
    rest.push_back({.command = command});
  }
  for (std::size_t i = run; i < left(); ++i) rest.push_back(std::move(todo[i]));
  verdict.wait = true;
  return finish(std::move(rest), verdict);
}

}  // namespace mpr::redis
