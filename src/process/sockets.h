/* sockets.h: listening sockets that the service manager opened and passes on: LISTEN_FDS of systemd.socket(5).
 * Before threads start; pure but for the environment.
 *
 * The manager keeps them open too. While one process leaves and the next one starts, clients wait in the backlog: nobody is
 * refused. Sockets are told apart by name (FileDescriptorName=): "admin" is the admin listener's, every other one is the main
 * one's, of which there can be one. */
#ifndef SL_PROCESS_SOCKETS_H
#define SL_PROCESS_SOCKETS_H

#include "base/error.h"

typedef struct sl_sockets {
    int main, admin; /* descriptors; 0: none was passed */
} sl_sockets;

/* Takes LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES out of the environment. *ret is written on success only. What is meant for
 * another process is no error: there are none then. */
sl_status sl_sockets_take(sl_sockets *ret, sl_error *e);

/* The same for values that the caller has; NULL: not set. own: the process's id. */
sl_status sl_sockets_read(const char *pid, const char *count, const char *names, long own, sl_sockets *ret, sl_error *e);

#endif
