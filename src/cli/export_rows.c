/* What row ids stand for; see export.h. Of a file of texts only where lines begin is kept; each is read when it is asked for, and
 * not mapped, so that a file that is cut meanwhile is an error and not a signal. */
#include "cli/export.h"

#include "base/alloc.h"
#include "store/claim.h"
#include "store/first_bytes.h"
#include "store/plain.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct trm_text_line {
    char *bytes;
    int64_t room;
};

static trm_status changed(const trm_texts *texts, trm_error *err)
{
    return trm_fail(err, TRM_ERR_DATA, "texts '%s': the file was changed while it was read", texts->path);
}

static trm_status open_file(trm_texts *texts, trm_error *err)
{
    texts->file = open(texts->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe must not make it wait */
    if (texts->file < 0 || fstat(texts->file, &texts->about) != 0)
        return trm_fail(err, trm_status_of_errno(errno), "texts '%s': %s", texts->path, strerror(errno));
    if (!S_ISREG(texts->about.st_mode) || texts->about.st_size == 0)
        return trm_fail(err, TRM_ERR_DATA, "texts '%s': %s", texts->path,
                        S_ISREG(texts->about.st_mode) ? "is empty" : "is no regular file");
    return TRM_OK;
}

static trm_status read_bytes(const trm_texts *texts, char *into, int64_t bytes, int64_t at, trm_error *err)
{
    trm_error why = TRM_ERROR_INIT;
    const trm_plain_name name = {"texts", texts->path};
    const trm_status status = trm_plain_read(texts->file, name, into, bytes, at, &why);
    if (status == TRM_ERR_DATA) /* it ended too early */
        return changed(texts, err);
    return status == TRM_OK ? TRM_OK : trm_fail(err, status, "%s", why.text);
}

/* What holds no texts, one a line: a file that is known to be something else, and an array of JSON. */
static trm_status refuse_others(const trm_texts *texts, trm_error *err)
{
    const int64_t bytes = (int64_t)texts->about.st_size;
    char first = '\0';
    const char *other = trm_superblock_look(texts->file, bytes).found
                            ? "an HDF5 file"
                            : trm_first_bytes_known(texts->file, bytes);
    if (other != NULL)
        return trm_fail(err, TRM_ERR_DATA, "texts '%s': is %s, needs a text a line, or .jsonl", texts->path,
                        other);
    const trm_status status = read_bytes(texts, &first, 1, 0, err);
    return status == TRM_OK && texts->json && first == '['
               ? trm_fail(err, TRM_ERR_DATA, "texts '%s': line 1: " TRM_JSON_ARRAY, texts->path)
               : status;
}

/* Lines end with a line feed, which the last may lack. start: where each begins, and the end; NULL: they are counted only. */
static trm_status find_lines(trm_texts *texts, int64_t *start, trm_error *err)
{
    enum { PIECE = 1 << 16 };
    char piece[PIECE];
    const int64_t size = (int64_t)texts->about.st_size, most = start != NULL ? texts->rows : INT64_MAX;
    int64_t lines = 0;
    bool begins = true;
    trm_status status = TRM_OK;
    for (int64_t at = 0; at < size && status == TRM_OK; at += PIECE) {
        const int64_t count = size - at < PIECE ? size - at : PIECE;
        status = read_bytes(texts, piece, count, at, err);
        int64_t i = status == TRM_OK && at == 0 ? trm_first_bytes_mark(piece, count) : 0;
        for (; i < count && status == TRM_OK; i++) {
            if (begins && lines == most) /* more than before */
                return changed(texts, err);
            if (begins && start != NULL)
                start[lines] = at + i;
            lines += begins;
            begins = piece[i] == '\n';
        }
    }
    if (status == TRM_OK && start != NULL)
        start[lines] = size;
    if (status == TRM_OK && start != NULL && lines < most)
        return changed(texts, err);
    texts->rows = lines;
    return status;
}

/* The file, and the field of JSON behind its colon. */
static trm_status take_name(const char *name, trm_texts *texts, trm_error *err)
{
    *texts = (trm_texts){.path = trm_format("%s", name), .file = -1};
    if (texts->path == NULL)
        return trm_fail_memory(err, "a file name", (int64_t)strlen(name), 1);
    const char *found = access(name, F_OK) == 0 ? NULL : trm_path_colon(name);
    if (found != NULL) {
        char *colon = texts->path + (found - name);
        *colon = '\0';
        if (trm_path_is_json(texts->path))
            texts->field = colon + 1;
        else if (!trm_path_is_table(texts->path))
            *colon = ':';
    }
    texts->json = trm_path_is_json(texts->path);
    if (trm_path_is_table(texts->path)) /* else its ids would be trained on */
        return trm_fail(
            err, TRM_ERR_USAGE, "texts '%s': is a table, needs a text a line, or .jsonl%s", texts->path,
            trm_path_ends(texts->path, ".tsv") ? ": cut -f2 FILE.tsv >FILE.txt takes its second column" : "");
    return TRM_OK;
}

trm_status trm_texts_open(const char *path, int64_t rows, trm_texts *texts, trm_error *err)
{
    trm_status status = take_name(path, texts, err);
    if (status == TRM_OK)
        status = open_file(texts, err);
    if (status == TRM_OK)
        status = refuse_others(texts, err);
    if (status == TRM_OK)
        status = find_lines(texts, NULL, err);
    if (status != TRM_OK)
        return status;
    if (rows >= 0 && texts->rows != rows)
        return trm_fail(err, TRM_ERR_DATA, "texts '%s': has %" PRId64 " lines, there are %" PRId64 " rows",
                        texts->path, texts->rows, rows);
    texts->start = trm_alloc(texts->rows + 1, sizeof *texts->start);
    texts->line = trm_alloc_zero(1, sizeof *texts->line);
    if (texts->start == NULL || texts->line == NULL)
        return trm_fail_memory(err, "lines of texts", texts->rows + 1, sizeof *texts->start);
    return find_lines(texts, texts->start, err);
}

trm_status trm_texts_line(const trm_texts *texts, int64_t row, const char **line, int64_t *length,
                          trm_error *err)
{
    const int64_t bytes = texts->start[row + 1] - texts->start[row], most = INT64_C(1) << 30;
    if (bytes > most)
        return trm_fail(err, TRM_ERR_DATA, "texts '%s': line %" PRId64 " is longer than 1 GB", texts->path,
                        row + 1);
    struct trm_text_line *last = texts->line;
    if (bytes > last->room) {
        trm_free(last->bytes);
        last->room = 2 * bytes;
        last->bytes = trm_alloc(last->room, 1);
    }
    if (last->bytes == NULL) {
        last->room = 0;
        return trm_fail_memory(err, "a text", 2 * bytes, 1);
    }
    *line = last->bytes;
    *length = bytes;
    return read_bytes(texts, last->bytes, bytes, texts->start[row], err);
}

trm_status trm_texts_check_unchanged(const trm_texts *texts, trm_error *err)
{
    struct stat now;
    if (texts->path == NULL)
        return TRM_OK;
    return fstat(texts->file, &now) == 0 && now.st_size == texts->about.st_size &&
                   now.st_mtim.tv_sec == texts->about.st_mtim.tv_sec &&
                   now.st_mtim.tv_nsec == texts->about.st_mtim.tv_nsec
               ? TRM_OK
               : changed(texts, err);
}

void trm_texts_close(trm_texts *texts)
{
    if (texts->path != NULL && texts->file >= 0)
        close(texts->file);
    trm_free(texts->start);
    if (texts->line != NULL)
        trm_free(texts->line->bytes);
    trm_free(texts->line);
    trm_free(texts->path);
    *texts = (trm_texts){.path = NULL};
}

void trm_export_rows_free(trm_export_rows *rows)
{
    trm_texts_close(&rows->texts);
    trm_free(rows->id);
    trm_names_free(&rows->id_names);
    trm_free(rows->label);
    *rows = (trm_export_rows){.rows = -1};
}

const trm_export_rows *trm_export_rows_of(const trm_export *export, const char *column)
{
    static const char *const of_askers[] = {"anchor", "a"}, *const of_store[] = {"positive", "negative",
                                                                                 "neighbors", "b", "row"};
    for (size_t i = 0; i < sizeof of_askers / sizeof *of_askers; i++)
        if (strcmp(column, of_askers[i]) == 0)
            return export->two_sets ? &export->askers : &export->base;
    for (size_t i = 0; i < sizeof of_store / sizeof *of_store; i++)
        if (strcmp(column, of_store[i]) == 0)
            return &export->base;
    return NULL;
}
