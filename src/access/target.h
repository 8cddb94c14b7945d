#pragma once

#include <string>
#include <vector>

#include "op/session.h"

namespace sallyport::access {

/// Whose work is meant: one session, or all of a person, or all that came out of one session at the
/// identity provider.
struct Target {
  std::string session;          // "u_…"; or
  std::string issuer, subject;  // a person; or
  /// With issuer: a session there. With a subject too, also what that person holds without saying
  /// out of which session it came.
  std::string sid;
  /// Of a person: only what rests on one of these groups, which the person has left.
  std::vector<std::string> left_groups;

  /// Whether a credential of `who` is meant.
  bool Means(const op::Principal& who) const;
};

}  // namespace sallyport::access
