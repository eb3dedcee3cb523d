/* Reading batches from text; see batch_text.h. */
#include "store/batch_text.h"

#include "base/alloc.h"
#include "base/visible.h"
#include "par/agree.h"
#include "par/exchange.h"
#include "store/first_bytes.h"
#include "store/plain.h"
#include "store/store_inner.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

enum { PIECE = 1 << 16, TOKEN = 32, END_OF_FILE = -1, HEAD = 512 };

/* A place in a file that is read from there on. */
typedef struct scan {
    const trm_named_file *about;
    int file;
    int64_t bytes, at, line; /* of the file; the next one; its line, from 1 on */
    int64_t piece_at, have;  /* what is in piece */
    char piece[PIECE];
} scan;

/* What a line has next. */
typedef enum token { TOKEN_NUMBER, TOKEN_LINE, TOKEN_FILE } token;

static trm_status begin(scan *s, const trm_named_file *about, trm_error *err)
{
    s->about = about;
    s->at = s->piece_at = s->have = 0;
    s->line = 1;
    return trm_inspect_regular(about, &s->file, &s->bytes, err);
}

static void end(scan *s)
{
    if (s->file >= 0)
        close(s->file);
    s->file = -1;
}

/* The next byte without going on, or END_OF_FILE. */
static trm_status look(scan *s, int *c, trm_error *err)
{
    trm_status status = TRM_OK;
    *c = END_OF_FILE;
    if (s->at >= s->bytes)
        return TRM_OK;
    if (s->at < s->piece_at || s->at >= s->piece_at + s->have) {
        const trm_plain_name name = {s->about->kind, s->about->path};
        s->piece_at = s->at;
        s->have = s->bytes - s->at < PIECE ? s->bytes - s->at : PIECE;
        status = trm_plain_read(s->file, name, s->piece, s->have, s->at, err);
    }
    if (status == TRM_OK)
        *c = (unsigned char)s->piece[s->at - s->piece_at];
    return status;
}

static bool separates(int c)
{
    return c == ' ' || c == '\t' || c == ',' || c == '\r';
}

/* A row id is what it is by its digits; more than int64_t holds is none. */
static bool is_number(const char *text, int64_t *value)
{
    int64_t sum = 0;
    const char *digit = text;
    bool good = *digit != '\0';
    for (; good && *digit != '\0'; digit++)
        good = isdigit((unsigned char)*digit) && !__builtin_mul_overflow(sum, 10, &sum) &&
               !__builtin_add_overflow(sum, *digit - '0', &sum);
    *value = sum;
    return good;
}

static trm_status read_number(scan *s, int64_t *value, trm_error *err)
{
    char text[TOKEN], shown[4 * TOKEN];
    int length = 0, c;
    trm_status status;
    while ((status = look(s, &c, err)) == TRM_OK && c != END_OF_FILE && c != '\n' && !separates(c)) {
        if (length < TOKEN - 1)
            text[length++] = (char)(c == 0 ? '?' : c);
        s->at++;
    }
    text[length] = '\0';
    if (status != TRM_OK || is_number(text, value))
        return status;
    trm_visible(text, shown, sizeof shown);
    return trm_fail(err, TRM_ERR_DATA,
                    "%s '%s': line %" PRId64 ": '%s' is not a row id, which are whole numbers from 0 on",
                    s->about->kind, s->about->path, s->line, shown);
}

/* A number, or the end of the line, after which the next one begins; comments are passed over. */
static trm_status next(scan *s, bool begins_line, token *what, int64_t *value, trm_error *err)
{
    int c;
    trm_status status;
    while ((status = look(s, &c, err)) == TRM_OK && separates(c))
        s->at++;
    while (status == TRM_OK && begins_line && c == '#') {
        do
            s->at++;
        while ((status = look(s, &c, err)) == TRM_OK && c != END_OF_FILE && c != '\n');
    }
    if (status != TRM_OK)
        return status;
    *what = c == END_OF_FILE ? TOKEN_FILE : c == '\n' ? TOKEN_LINE : TOKEN_NUMBER;
    if (*what == TOKEN_NUMBER)
        return read_number(s, value, err);
    s->at += c == '\n';
    s->line += c == '\n';
    return TRM_OK;
}

/* Takes a row id of batch number b; first: the batch begins with it, at a line that begins at that byte. */
typedef trm_status (*take_fn)(void *context, int64_t b, bool first, int64_t row, int64_t line, int64_t at,
                              trm_error *err);

/* Reads on until so many batches are read, or the file ends; *batches: how many were. */
static trm_status read_batches(scan *s, int64_t most, int64_t *batches, take_fn take, void *context,
                               trm_error *err)
{
    trm_status status = TRM_OK;
    token what = TOKEN_LINE;
    int64_t in_line = 0, row = 0, line_at = s->at, line = s->line;
    *batches = 0;
    while (status == TRM_OK && what != TOKEN_FILE && *batches < most) {
        status = next(s, in_line == 0, &what, &row, err);
        if (status == TRM_OK && what == TOKEN_NUMBER)
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
    for (int64_t i = 0; i < have && *is_text; i++)
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
    scan *s = trm_alloc(1, sizeof *s);
    if (s == NULL)
        return trm_fail_memory(err, "the list of batches", 1, sizeof *s);
    trm_status status = begin(s, about, err);
    if (status == TRM_OK)
        status = read_batches(s, INT64_MAX, batches, ignore, NULL, err);
    end(s);
    trm_free(s);
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
static trm_status read_share(scan *s, const int64_t *cut, int64_t count, trm_batches *batches, trm_error *err)
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
    scan *s = trm_alloc_zero(1, sizeof *s);
    c.cut = trm_alloc_zero(2 * (int64_t)c.ranks, sizeof *c.cut);
    trm_status status = TRM_OK;
    int64_t read = 0, first, last;
    if (s != NULL)
        s->file = -1;
    if (s == NULL || c.cut == NULL)
        status = trm_fail_memory(err, "the list of batches", 1, sizeof *s);
    else
        status = begin(s, about, err);
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
    if (s != NULL)
        end(s);
    trm_free(c.cut);
    trm_free(s);
    return status;
}
