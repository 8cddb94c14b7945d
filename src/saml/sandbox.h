#pragma once

namespace sallyport::saml {

/// From here on the process can compute, read what is open, write to what is open, and end: every
/// other system call (files, sockets, processes, executable memory) kills it (seccomp, mode 2). For
/// a process with one thread. False: the kernel does not do it.
bool CloseSandbox();

}  // namespace sallyport::saml
