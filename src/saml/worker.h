#pragma once

#include <string>
#include <string_view>

namespace sallyport::saml {

/// XML is read in a process of its own: it has one question on its standard input, gives one answer
/// on its standard output, and ends. It has no environment, no open file, no secret, and after
/// CloseSandbox no way to any. Parsers of XML are where the holes are; what breaks one here gets a
/// process that can say "yes" to one login, and nothing else.
///
/// A question: {"op":"metadata","now":N,"document":BASE64}, or {"op":"response","document":BASE64,
/// "issuer","keys":[BASE64],"audience","acs","request_id","now":N,"skew":SECONDS}, or
/// {"op":"logout","document":BASE64,"issuer","keys","destination","signed_beside":BOOL,"now","skew"},
/// whose document is deflated if the signature stood beside it. Times are nanoseconds.
/// An answer: {"ok":true, …} or {"ok":false,"reason":CODE,"detail":TEXT}.

/// The question's answer. In this process: for tests and fuzzing; in the gateway only RunWorker.
std::string Answer(std::string_view question);

/// The process: reads, confines itself, answers. Exit code 0 when an answer was written.
int RunWorker();

}  // namespace sallyport::saml
