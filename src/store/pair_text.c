/* Pairs as text: two numbers a line. The bytes are shared out over the ranks; a line is read by the rank in whose part it
 * begins, which learns from the lower ranks how many lines come before. */
#include "store/pair_inner.h"

#include "base/alloc.h"
#include "par/agree.h"
#include "par/exchange.h"
#include "store/text_scan.h"

#include <inttypes.h>

static trm_status refuse(const trm_text_scan *s, int64_t line, const char *why, trm_error *err)
{
    return trm_fail(err, TRM_ERR_DATA,
                    "%s '%s': line %" PRId64 ": %s: a pair is two numbers, query and positive",
                    s->about->kind, s->about->path, line, why);
}

/* Reads a line to its end; *columns: the numbers in it, 0 or 2. */
static trm_status read_line(trm_text_scan *s, int64_t value[TRM_PAIR_COLUMNS], int *columns, trm_error *err)
{
    const int64_t line = s->line;
    for (*columns = 0;;) {
        trm_text_token what;
        int64_t number = 0;
        const trm_status status = trm_text_next(s, *columns == 0, &what, &number, err);
        if (status != TRM_OK)
            return status;
        if (what != TRM_TEXT_NUMBER && *columns == 1)
            return refuse(s, line, "has one number", err);
        if (what == TRM_TEXT_NUMBER && *columns == TRM_PAIR_COLUMNS)
            return refuse(s, line, "has a third number (python3 -m trimine.qrels reads judgements)", err);
        if (s->commas > (what == TRM_TEXT_NUMBER && *columns == 1))
            return refuse(s, line, "has a comma with no number at its side", err);
        if (what != TRM_TEXT_NUMBER)
            return TRM_OK;
        value[(*columns)++] = number;
    }
}

static trm_status append(trm_pairs *pairs, int64_t *room, const int64_t value[TRM_PAIR_COLUMNS],
                         trm_error *err)
{
    if (pairs->count == *room) {
        *room = *room * 3 / 2 + 1024;
        const trm_status status = trm_pairs_reserve(pairs, *room, err);
        if (status != TRM_OK)
            return status;
    }
    pairs->query[pairs->count] = value[TRM_PAIR_QUERY];
    pairs->positive[pairs->count++] = value[TRM_PAIR_POSITIVE];
    return TRM_OK;
}

/* Lines that begin in bytes [s->at, to). */
static trm_status read_lines(trm_text_scan *s, int64_t to, const trm_pair_bounds *bounds, trm_pairs *pairs,
                             trm_error *err)
{
    int64_t room = 0;
    trm_status status = trm_pairs_reserve(pairs, room, err);
    while (status == TRM_OK && s->at < to) {
        const int64_t line = s->line;
        int64_t value[TRM_PAIR_COLUMNS] = {0, 0};
        int columns = 0;
        status = read_line(s, value, &columns, err);
        for (int c = 0; c < columns && status == TRM_OK; c++)
            status = trm_pair_check(s->about, bounds, c, value[c], false, "line", line, err);
        if (status == TRM_OK && columns > 0)
            status = append(pairs, &room, value, err);
    }
    return status;
}

/* This rank's part: it begins and ends where lines do. */
static trm_status find_part(MPI_Comm comm, trm_text_scan *s, int64_t bytes, int64_t *from, int64_t *to,
                            int64_t *lines, trm_error *err)
{
    int rank = 0, ranks = 0;
    MPI_Comm_rank(comm, &rank);
    MPI_Comm_size(comm, &ranks);
    trm_share(bytes, rank, ranks, from, to);
    if (s->bytes != bytes)
        return trm_fail(err, TRM_ERR_DATA, "%s '%s': the file was changed while it was read", s->about->kind,
                        s->about->path);
    trm_status status = trm_text_line_start(s, *from, from, err);
    if (status == TRM_OK)
        status = trm_text_line_start(s, *to, to, err);
    return status == TRM_OK ? trm_text_count_lines(s, *from, *to, lines, err) : status;
}

trm_status trm_pair_text_read(MPI_Comm comm, const trm_named_file *about, int64_t bytes,
                              const trm_pair_bounds *bounds, trm_pairs *pairs, trm_error *err)
{
    trm_text_scan *s = NULL;
    int64_t from = 0, to = 0, lines = 0;
    trm_status status = trm_text_begin(about, &s, err);
    if (status == TRM_OK)
        status = find_part(comm, s, bytes, &from, &to, &lines, err);
    status = trm_agree(comm, status, err);
    if (status == TRM_OK) {
        s->line = 1 + trm_prefix_int64(comm, lines);
        s->hint = TRM_PAIR_OF_IDS;
        s->at = from;
        status = trm_agree(comm, read_lines(s, to, bounds, pairs, err), err);
    }
    if (status == TRM_OK) {
        pairs->first = trm_prefix_int64(comm, pairs->count);
        pairs->total = trm_sum_int64(comm, pairs->count);
    }
    trm_text_end(&s);
    return status;
}
