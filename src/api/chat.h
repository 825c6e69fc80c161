/* chat.h: /v1/chat/completions: how its bodies are read and its clients are told.
 * The reader: loop or text thread; the writer: loop thread. */
#ifndef SL_API_CHAT_H
#define SL_API_CHAT_H

#include "api/answer.h"

extern const sl__reader sl__chat_reader;
extern const sl__writer sl__chat_writer;

#endif
