/* Among which rows a question is asked; plain C, for queries. */
#ifndef TRM_EVAL_AMONG_H
#define TRM_EVAL_AMONG_H

#include "base/word.h"
#include "sweep/query.h"
#include "trimine/ask.h"

extern const trm_words trm_among_words;
/* Which rows an anchor of the query is asked about, where they are said to be these. */
trm_relation trm_among_relation(trm_among among);
/* How many of them there are. */
int64_t trm_among_count(trm_among among, trm_there there);

#endif
