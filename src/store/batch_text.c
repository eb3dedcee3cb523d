/* Reading batches from text; see batch_text.h. */
#include "store/batch_text.h"

#include "base/alloc.h"
#include "par/agree.h"
#include "par/exchange.h"
#include "store/first_bytes.h"
#include "store/plain.h"
#include "store/store_inner.h"
#include "store/text_scan.h"

#include <ctype.h>
#include <unistd.h>

enum { HEAD = 512 };

/* Takes a row id of batch number b; first: the batch begins with it, at a line that begins at that byte. */
typedef trm_status (*take_fn)(void *context, int64_t b, bool first, int64_t row, int64_t line, int64_t at,
                              trm_error *err);

/* Reads on until so many batches are read, or the file ends; *batches: how many were. */
static trm_status read_batches(trm_text_scan *s, int64_t most, int64_t *batches, take_fn take, void *context,
                               trm_error *err)
{
    trm_status status = TRM_OK;
    trm_text_token what = TRM_TEXT_LINE;
    int64_t in_line = 0, row = 0, line_at = s->at, line = s->line;
    *batches = 0;
    while (status == TRM_OK && what != TRM_TEXT_FILE && *batches < most) {
        status = trm_text_next(s, in_line == 0, &what, &row, err);
        if (status == TRM_OK && what == TRM_TEXT_NUMBER)
            status = take(context, *batches, in_line++ == 0, row, line, line_at, err);
        else if (status == TRM_OK) {
            *batches += in_line > 0;
            in_line = 0;
            line_at = s->at;
            line = s->line;
        }
    }
    return status;
}

/* ---- looking ---- */

trm_status trm_batch_text_recognize(const trm_named_file *about, bool *is_text, trm_error *err)
{
    char head[HEAD];
    int file;
    int64_t bytes;
    trm_status status = trm_inspect_regular(about, &file, &bytes, err);
    if (status != TRM_OK)
        return status;
    const int64_t have = bytes < HEAD ? bytes : HEAD;
    const trm_plain_name name = {about->kind, about->path};
    status = trm_plain_read(file, name, head, have, 0, err);
    *is_text = have > 0 && !trm_superblock_look(file, bytes).found;
    for (int64_t i = trm_first_bytes_mark(head, have); i < have && *is_text; i++)
        *is_text = isprint((unsigned char)head[i]) || isspace((unsigned char)head[i]);
    close(file);
    return status;
}

static trm_status ignore(void *context, int64_t b, bool first, int64_t row, int64_t line, int64_t at,
                         trm_error *err)
{
    (void)context, (void)b, (void)first, (void)row, (void)line, (void)at, (void)err;
    return TRM_OK;
}

trm_status trm_batch_text_count(const trm_named_file *about, int64_t *batches, trm_error *err)
{
    trm_text_scan *s = NULL;
    trm_status status = trm_text_begin(about, &s, err);
    if (status == TRM_OK)
        status = read_batches(s, INT64_MAX, batches, ignore, NULL, err);
    trm_text_end(&s);
    if (status == TRM_OK && *batches == 0)
        return trm_fail(err, TRM_ERR_DATA, "%s '%s': has no batches: one a line, as row ids", about->kind,
                        about->path);
    return status;
}

/* ---- reading ---- */

/* Where each rank's batches begin: byte and line. */
typedef struct cuts {
    int64_t batches, *cut;
    int ranks, next;
} cuts;

static trm_status note_cut(void *context, int64_t b, bool first, int64_t row, int64_t line, int64_t at,
                           trm_error *err)
{
    cuts *c = context;
    (void)row, (void)err;
    for (int64_t from, to; first && c->next < c->ranks; c->next++) {
        trm_share(c->batches, c->next, c->ranks, &from, &to);
        if (from > b)
            break;
        c->cut[2 * c->next] = at;
        c->cut[2 * c->next + 1] = line;
    }
    return TRM_OK;
}

typedef struct rows_read {
    trm_batches *batches;
    int64_t rows, room;
} rows_read;

static trm_status add_row(void *context, int64_t b, bool first, int64_t row, int64_t line, int64_t at,
                          trm_error *err)
{
    rows_read *s = context;
    (void)line, (void)at;
    if (s->rows == s->room) {
        const int64_t room = s->room * 3 / 2 + 1024;
        int64_t *larger = trm_grown(s->batches->row, s->rows, room, sizeof *larger);
        if (larger == NULL)
            return trm_fail_memory(err, "the list of batches", room, sizeof *larger);
        s->batches->row = larger;
        s->room = room;
    }
    if (first)
        s->batches->start[b] = s->rows;
    s->batches->row[s->rows++] = row;
    s->batches->start[b + 1] = s->rows;
    return TRM_OK;
}

static trm_status changed(const trm_named_file *about, trm_error *err)
{
    return trm_fail(err, TRM_ERR_DATA, "%s '%s': changed while it was read", about->kind, about->path);
}

/* This rank's lines, from its cut on. Not collective. */
static trm_status read_share(trm_text_scan *s, const int64_t *cut, int64_t count, trm_batches *batches,
                             trm_error *err)
{
    int64_t read = 0;
    rows_read of = {.batches = batches};
    batches->start = trm_alloc_zero(count + 1, sizeof *batches->start);
    batches->row = trm_alloc(0, sizeof *batches->row);
    if (batches->start == NULL || batches->row == NULL)
        return trm_fail_memory(err, "the list of batches", count + 1, sizeof *batches->start);
    batches->count = count;
    s->at = cut[0];
    s->line = cut[1];
    trm_status status = read_batches(s, count, &read, add_row, &of, err);
    if (status == TRM_OK && read != count)
        return changed(s->about, err);
    batches->row = trm_shrink(batches->row, of.rows, sizeof *batches->row);
    return status;
}

trm_status trm_batch_text_read(MPI_Comm comm, const trm_named_file *about, int64_t batches,
                               trm_batches *share, trm_error *err)
{
    int rank = 0;
    cuts c = {.batches = batches};
    MPI_Comm_rank(comm, &rank);
    MPI_Comm_size(comm, &c.ranks);
    trm_text_scan *s = NULL;
    c.cut = trm_alloc_zero(2 * (int64_t)c.ranks, sizeof *c.cut);
    int64_t read = 0, first, last;
    trm_status status = trm_text_begin(about, &s, err);
    if (status == TRM_OK && c.cut == NULL)
        status = trm_fail_memory(err, "the list of batches", c.ranks, 2 * sizeof *c.cut);
    if (status == TRM_OK && rank == 0)
        status = read_batches(s, INT64_MAX, &read, note_cut, &c, err);
    if (status == TRM_OK && rank == 0 && read != batches)
        status = changed(about, err);
    status = trm_agree(comm, status, err);
    if (status == TRM_OK) {
        MPI_Bcast(c.cut, 2 * c.ranks, MPI_INT64_T, 0, comm);
        trm_share(batches, rank, c.ranks, &first, &last);
        status = trm_agree(comm, read_share(s, c.cut + 2 * (int64_t)rank, last - first, share, err), err);
    }
    trm_text_end(&s);
    trm_free(c.cut);
    return status;
}
