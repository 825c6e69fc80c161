/* default.h: the model that comes with the program, and what on a command line is a model.
 * The main thread, before others start. */
#ifndef SL_CLI_DEFAULT_H
#define SL_CLI_DEFAULT_H

#include "base/arena.h"
#include "base/error.h"

#include <stdbool.h>

/* Its name in the API, whatever the file is called. */
#define SL_DEFAULT_MODEL_NAME "sluice-default"

/* Finds the default model of a program, given as a path to it (symbolic links are followed: "/proc/self/exe"). For
 * /usr/bin/sluice it is /usr/bin/default.gguf, as in a build tree, else /usr/share/sluice/default.gguf, as installed.
 * The path is the arena's. SL_MISUSE: neither is there; the message says where it was looked for, and what to do. */
sl_status sl_default_model(const char *program, sl_arena *arena, const char **ret, sl_error *e);

/* The same for a model that talks: talking.gguf. The message says which command gets it. */
sl_status sl_talking_model(const char *program, sl_arena *arena, const char **ret, sl_error *e);

/* Is an argument that may be a model, a prompt or a text meant as a model? By its name, if that ends in .gguf (also
 * when there is no such file: then opening it says so); else if it is a GGUF file or a folder with config.json. */
bool sl_model_like(const char *argument);

#endif
