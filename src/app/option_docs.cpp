#include "app/option_docs.hpp"

#include <algorithm>
#include <string_view>

#include "app/options.hpp"

namespace mpr {

namespace {

constexpr std::size_t kColumns = 80;

constexpr std::string_view kUsage =
    R"(mpr: the message pickup repository, the mailbox of DIDComm mediators

Usage:
  mpr serve [options]     run the service until SIGTERM or SIGINT
  mpr check [options]     say what `serve` would do, and whether it could
  mpr migrate [--dry-run] [options]
                          take over what another service left in Redis
  mpr push-test --type fcm|apns|webhook --token T [options]
                          send one push notification and explain the answer
  mpr bench [scenario]    measure a running service; --help lists scenarios
  mpr demo                show live delivery and pickup in ten seconds
  mpr version             say what this binary is
  mpr help [--markdown]   this text; with --markdown the configuration reference

An option is given as a flag, as an environment variable, or in the file that
MPR_CONFIG_FILE names; the first of these wins. Sizes take KiB, MiB and GiB.
)";

constexpr std::string_view kReferenceHead = R"(# Configuration

Made from the table of options by `mpr help --markdown`; a test fails when the two differ.

An option can be given in three ways; the first that names it wins:

1. as a flag of `mpr serve` or `mpr check`: `--ws-port 3100` or `--ws-port=3100`,
2. as an environment variable: `WS_PORT=3100`,
3. in the file that `MPR_CONFIG_FILE` (or `--config-file`) names: `KEY=VALUE` lines with the names of
   the environment, `#` for comments, quotes around values that contain ` #`.

An empty variable counts as not set. Sizes are bytes; `KiB`, `MiB`, `GiB` and `TiB` may follow the
number. Times are whole milliseconds. A wrong value stops the start with exit code 2 and a message
that says where it came from and what would be right; all wrong values are reported at once. Unknown
flags stop the start too; unknown `MPR_` variables, and unknown names in the file, are warned about.
Secrets are shown as `***` everywhere, and so are user, password and options in addresses of servers.
`mpr check` prints every option with its value and source.

The names of the service that MPR replaces mean the same here; `FCM_SERVICE_BASE_URL` is warned
about, `MPR_FCM_URL` takes its place.
)";

// Appends `text` in lines of at most kColumns, each behind `indent` spaces.
void append_wrapped(std::string& out, std::string_view text, std::size_t indent) {
  std::size_t column = 0;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(' '), text.size());
    const std::string_view word = text.substr(0, end);
    if (column != 0 && column + 1 + word.size() > kColumns) {
      out += '\n';
      column = 0;
    }
    if (column == 0) {
      out.append(indent, ' ');
      column = indent;
    } else {
      out += ' ';
      ++column;
    }
    out += word;
    column += word.size();
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  out += '\n';
}

std::string range_of(const Option& option) {
  switch (option.kind) {
    case OptionKind::count:
    case OptionKind::milliseconds:
      return std::to_string(option.least) + " to " + std::to_string(option.most);
    case OptionKind::bytes:
      return readable_bytes(option.least) + " to " + readable_bytes(option.most);
    case OptionKind::port:
      return "0 to 65535";
    case OptionKind::address:
      return "an IP address";
    case OptionKind::path:
      return "a path";
    case OptionKind::log_level:
      return "a level";
    case OptionKind::choice: {
      std::string out(option.choices);
      for (std::size_t bar = 0; (bar = out.find('|', bar)) != std::string::npos; bar += 2) {
        out.replace(bar, 1, ", ");
      }
      return out;
    }
    default:
      return "a text";
  }
}

std::string unit_of(const Option& option) {
  if (option.kind == OptionKind::milliseconds) return " ms";
  return "";
}

template <class Visit>
void for_each_group(Visit visit) {
  const OptionGroup* previous = nullptr;
  for (const Option& option : options()) {
    if (previous == nullptr || *previous != option.group) visit(option.group);
    previous = &option.group;
  }
}

}  // namespace

std::string help_text() {
  std::string out(kUsage);
  for_each_group([&](OptionGroup group) {
    out += '\n';
    out += title_of(group);
    out += ":\n";
    for (const Option& option : options()) {
      if (option.group != group) continue;
      out += "  " + flag_of(option) + ", " + std::string(option.name) + "\n";
      std::string text(option.help);
      if (!option.standard.empty()) {
        text += " Default: " + std::string(option.standard) + unit_of(option) + ".";
      }
      append_wrapped(out, text, 6);
    }
  });
  return out;
}

std::string configuration_reference() {
  std::string out(kReferenceHead);
  for_each_group([&](OptionGroup group) {
    out += "\n## ";
    out += title_of(group);
    out += "\n\n| name | flag | default | values | meaning |\n|---|---|---|---|---|\n";
    for (const Option& option : options()) {
      if (option.group != group) continue;
      const std::string standard =
          option.standard.empty() ? "none" : "`" + std::string(option.standard) + "`";
      out += "| `" + std::string(option.name) + "` | `" + flag_of(option) + "` | " + standard +
             unit_of(option) + " | " + range_of(option) + unit_of(option) + " | " +
             std::string(option.help) + " |\n";
    }
  });
  return out;
}

}  // namespace mpr
