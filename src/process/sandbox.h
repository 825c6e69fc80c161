/* sandbox.h: takes from the process what a server does not need, for good: whoever gets hold of it by a bad byte can read no
 * file, start no program and connect to nothing.
 * Before threads start, or as a function says.
 *
 * Files are limited by landlock, for the calling thread and those that it starts from then on; system calls by seccomp, for all
 * threads at once. The two are independent, and a kernel or a container that lacks one has the other. Both need that the
 * process can gain no privileges by a program that it starts (no_new_privs), which they set.
 *
 * What is tried all the same:
 *   a file that may not be opened                        EACCES
 *   a call that only an attacker would make (connect,    one line on standard error that names it, and the process ends by
 *   execve, ptrace …; SL_SANDBOX_NEVER)                  SIGSYS: going on would let him try the next one
 *   any other call that is not on the list               ENOSYS, as on a kernel that does not know it: a newer libc that tries
 *                                                        a newer call has a way around that, and serving goes on. Strict: its
 *                                                        number on standard error, and the end */
#ifndef SL_PROCESS_SANDBOX_H
#define SL_PROCESS_SANDBOX_H

#include "base/error.h"

/* Why this build cannot be limited; NULL: it can. A sanitizer looks for leaks by a second process that traces this one. */
const char *sl_sandbox_hindrance(void);

/* landlock.c. From now on the calling thread may read what is at or below these paths, and open nothing else: it writes, creates
 * and runs no file. On newer kernels it binds and connects no TCP socket either, and reaches no process outside by a signal or an
 * abstract socket. Paths are looked up now, so what is put below a folder later can be read too; those that do not exist are passed
 * over. Called again it can only take away more. SL_UNSUPPORTED: the kernel has none, or does not let us. */
sl_status sl_sandbox_files(const char *const *readable, int count, sl_error *e);

/* seccomp.c. A process that loads may do all but what only an attacker would; one that serves makes the calls that it needs to
 * serve, and where it is strict any other one ends it as an attacker's would. Each for all threads of the process and for ever.
 * SL_UNSUPPORTED as above. */
typedef enum sl_sandbox_stage { SL_SANDBOX_LOADING, SL_SANDBOX_SERVING, SL_SANDBOX_STRICT } sl_sandbox_stage;
sl_status sl_sandbox_calls(sl_sandbox_stage stage, sl_error *e);
int sl_sandbox_call_count(void); /* how many calls a process that serves may make */

#endif
