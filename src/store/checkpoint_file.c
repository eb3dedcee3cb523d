/* Checkpoint files; see checkpoint.h. */
#include "store/checkpoint_file.h"

#include "base/alloc.h"
#include "base/hash_sum.h"
#include "par/agree.h"
#include "par/exchange.h"
#include "par/merge.h"
#include "store/output.h"
#include "store/plain.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* "trimine-checkpoint 1 <bytes of header> <hash of what follows the line>\n", then JSON, then spaces. */
static const char line_format[] = "trimine-checkpoint 1 %010" PRId64 " %s\n";
enum { LINE_BYTES = 21 + 10 + 1 + 32 + 1, HEADER_MOST = 16 << 20, WORD = 8, PIECE_WORDS = 1 << 18 };

struct trm_checkpoint_file {
    MPI_Comm comm;
    char *path;
    int file;
    json_t *header;
};

static trm_plain_name named(const char *path)
{
    return (trm_plain_name){"checkpoint", path};
}

/* Of words of an array, each with its place: any cut of the array among ranks gives the same sum. */
static void add_words(trm_hash_sum *sum, int64_t first, int64_t count, const uint64_t *words, int threads)
{
#pragma omp parallel num_threads(threads > 1 ? threads : 1)
    {
        trm_hash_sum mine = TRM_HASH_SUM_INIT;
#pragma omp for schedule(static)
        for (int64_t i = 0; i < count; i++) {
            const uint64_t record[2] = {(uint64_t)(first + i), words[i]};
            trm_hash_sum_add(&mine, record, sizeof record);
        }
#pragma omp critical(trimine_checkpoint)
        trm_hash_sum_merge(sum, &mine);
    }
}

/* ---- header ---- */

static void write_line(char line[LINE_BYTES + 1], const char *text, int64_t header)
{
    char hash[33];
    trm_hash_sum sum = TRM_HASH_SUM_INIT;
    trm_hash_sum_add(&sum, text + LINE_BYTES, (size_t)header - LINE_BYTES);
    trm_hash_sum_text(&sum, hash);
    char full[128]; /* the line, where header has its ten digits */
    snprintf(full, sizeof full, line_format, header, hash);
    memcpy(line, full, LINE_BYTES);
    line[LINE_BYTES] = '\0';
}

int64_t trm_checkpoint_file_header_bytes(const char *text, size_t length)
{
    static const char head_text[] = "trimine-checkpoint 1 ";
    char line[LINE_BYTES + 1] = {0}, head[128];
    if (length < LINE_BYTES || memcmp(text, head_text, sizeof head_text - 1) != 0)
        return -1;
    memcpy(line, text, LINE_BYTES);
    const int64_t bytes = strtoll(line + sizeof head_text - 1, NULL, 10);
    if (bytes < LINE_BYTES || bytes > HEADER_MOST)
        return -1;
    snprintf(head, sizeof head, line_format, bytes, "");
    return memcmp(line, head, 21 + 10 + 1) == 0 ? bytes : -1;
}

json_t *trm_checkpoint_file_header(const char *text, size_t length)
{
    const int64_t bytes = trm_checkpoint_file_header_bytes(text, length);
    char line[LINE_BYTES + 1];
    if (bytes < 0 || (size_t)bytes > length)
        return NULL;
    write_line(line, text, bytes);
    if (memcmp(line, text, LINE_BYTES) != 0)
        return NULL;
    return json_loadb(text + LINE_BYTES, (size_t)bytes - LINE_BYTES, JSON_REJECT_DUPLICATES, NULL);
}

static json_t *describe(const trm_checkpoint_job *job)
{
    return json_pack("{s:s, s:s, s:O, s:{s:I, s:I, s:s}}", "program_version", job->version, "command",
                     job->command, "options", job->options, "store", "rows", (json_int_t)job->store_rows,
                     "dim", (json_int_t)job->store_dim, "fingerprint", job->store_fingerprint);
}

/* Room for the header before it is known: the hashes come last. */
static int64_t header_room(json_t *about, int parts)
{
    const int64_t page = 4096;
    const int64_t bytes =
        LINE_BYTES + (int64_t)json_dumpb(about, NULL, 0, JSON_COMPACT) + 256 * (int64_t)parts;
    return (bytes / page + 1) * page;
}

static trm_status write_header(int file, const char *path, json_t *about, int64_t room, trm_error *err)
{
    char *text = trm_alloc(room, 1);
    if (text == NULL)
        return trm_fail_memory(err, "the checkpoint's header", room, 1);
    memset(text, ' ', (size_t)room);
    trm_status status = TRM_OK;
    const size_t space = (size_t)room - LINE_BYTES - 1;
    if (json_dumpb(about, text + LINE_BYTES, space, JSON_COMPACT) > space)
        status = trm_fail(err, TRM_ERR_INTERNAL, "checkpoint '%s': the header is too long", path);
    text[room - 1] = '\n';
    char line[LINE_BYTES + 1];
    write_line(line, text, room);
    memcpy(text, line, LINE_BYTES);
    if (status == TRM_OK)
        status = trm_plain_write(file, named(path), text, room, 0, err);
    trm_free(text);
    return status;
}

/* ---- writing ---- */

static trm_status write_arrays(MPI_Comm comm, const char *path, int file, json_t *about, int64_t at,
                               int threads, int parts, const trm_checkpoint_part *part, trm_error *err)
{
    trm_status status = TRM_OK;
    json_t *arrays = json_array();
    for (int i = 0; i < parts; i++) {
        char text[33];
        trm_hash_sum sum = TRM_HASH_SUM_INIT;
        add_words(&sum, part[i].first, part[i].count, part[i].words, threads);
        if (status == TRM_OK)
            status = trm_plain_write(file, named(path), part[i].words, part[i].count * WORD,
                                     at + part[i].first * WORD, err);
        trm_merge_hash_sum(comm, &sum);
        trm_hash_sum_text(&sum, text);
        json_array_append_new(arrays,
                              json_pack("{s:s, s:I, s:I, s:s}", "name", part[i].name, "words",
                                        (json_int_t)part[i].total, "offset", (json_int_t)at, "hash", text));
        at += part[i].total * WORD;
    }
    json_object_set_new(about, "arrays", arrays);
    return status;
}

/* The header comes last, when all else is on the disk. Rank 0. */
static trm_status put_in_place(trm_draft *draft, json_t *about, int64_t room, int64_t bytes, trm_error *err)
{
    const char *path = draft->claim->path;
    struct stat now;
    trm_status status = write_header(draft->file, path, about, room, err);
    if (status == TRM_OK && (fstat(draft->file, &now) != 0 || now.st_size != bytes))
        status = trm_fail(err, TRM_ERR_IO, "checkpoint '%s': was not written whole", path);
    return status == TRM_OK ? trm_draft_place(draft, err) : status;
}

static trm_status write_draft(trm_draft *draft, json_t *about, const trm_checkpoint_job *job, int64_t room,
                              int64_t bytes, int parts, const trm_checkpoint_part *part, trm_error *err)
{
    MPI_Comm comm = draft->comm;
    const char *path = draft->claim->path;
    trm_status status = write_arrays(comm, path, draft->file, about, room, job->threads, parts, part, err);
    if (status == TRM_OK)
        status = trm_plain_sync(draft->file, named(path), err);
    status = trm_agree(comm, status, err);
    if (status != TRM_OK)
        return status;
    return trm_agree(comm, trm_rank_of(comm) == 0 ? put_in_place(draft, about, room, bytes, err) : TRM_OK,
                     err);
}

static trm_status check_place(const trm_claim *claim, trm_error *err)
{
    if (trm_rank_of(claim->comm) == 0 && trm_checkpoint_file_is_foreign(claim->target))
        return trm_fail(err, TRM_ERR_CREATE, "checkpoint '%s': there is a file of another kind", claim->path);
    return TRM_OK;
}

trm_status trm_checkpoint_file_write(MPI_Comm comm, trm_claim *claim, const trm_checkpoint_job *job,
                                     int parts, const trm_checkpoint_part *part, int64_t *bytes,
                                     trm_error *err)
{
    trm_draft draft = TRM_DRAFT_INIT;
    json_t *about = describe(job);
    trm_status status = about == NULL ? trm_fail_memory(err, "the checkpoint's header", 1, 1) : TRM_OK;
    if (status == TRM_OK)
        status = check_place(claim, err);
    status = trm_agree(comm, status, err);
    const int64_t room = status == TRM_OK ? header_room(about, parts) : 0;
    *bytes = room;
    for (int i = 0; i < parts; i++)
        *bytes += part[i].total * WORD;
    if (status == TRM_OK)
        status = trm_output_room(claim, *bytes, err);
    if (status == TRM_OK)
        status = trm_draft_open(comm, claim, &draft, err);
    if (status == TRM_OK)
        status = write_draft(&draft, about, job, room, *bytes, parts, part, err);
    trm_draft_close(&draft);
    json_decref(about);
    return status;
}

bool trm_checkpoint_file_remove(const trm_claim *claim)
{
    errno = 0;
    if (trm_checkpoint_file_is_foreign(claim->target)) {
        errno = 0;
        return false;
    }
    if (unlinkat(claim->directory, claim->name, 0) == 0)
        return true;
    errno = errno == ENOENT ? 0 : errno;
    return false;
}

/* K of "NAME.piece-K", -1 where name is not that. */
static int64_t piece_of(const trm_claim *claim, const char *name)
{
    static const char mark[] = ".piece-";
    const size_t length = strlen(claim->name), marked = length + strlen(mark);
    if (strncmp(name, claim->name, length) != 0 || strncmp(name + length, mark, strlen(mark)) != 0)
        return -1;
    const size_t digits = strspn(name + marked, "0123456789");
    return digits > 0 && digits < 18 && name[marked + digits] == '\0' ? strtoll(name + marked, NULL, 10) : -1;
}

int64_t trm_checkpoint_file_first_piece(const trm_claim *claim)
{
    int64_t first = -1;
    DIR *folder = opendir(claim->folder);
    if (folder == NULL)
        return -1;
    for (struct dirent *item = readdir(folder); item != NULL; item = readdir(folder)) {
        const int64_t piece = piece_of(claim, item->d_name);
        if (piece < 0 || (first >= 0 && piece > first))
            continue;
        char *path = trm_format("%s/%s", claim->folder, item->d_name);
        if (path != NULL && !trm_checkpoint_file_is_foreign(path))
            first = piece;
        trm_free(path);
    }
    closedir(folder);
    return first;
}

/* ---- reading ---- */

static trm_status damaged(const char *path, trm_error *err)
{
    return trm_fail(err, TRM_ERR_DATA, "checkpoint '%s' is damaged, or is not a checkpoint of this version",
                    path);
}

bool trm_checkpoint_file_is_foreign(const char *path)
{
    char line[LINE_BYTES] = {0};
    struct stat about;
    const int file = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC); /* a pipe would wait for a writer */
    if (file < 0)
        return errno != ENOENT;
    const bool ours = fstat(file, &about) == 0 && S_ISREG(about.st_mode) &&
                      read(file, line, sizeof line) == LINE_BYTES &&
                      trm_checkpoint_file_header_bytes(line, LINE_BYTES) >= 0;
    close(file);
    return !ours;
}

static trm_status read_header(trm_checkpoint_file *checkpoint, trm_error *err)
{
    const char *path = checkpoint->path;
    checkpoint->file = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (checkpoint->file < 0)
        return trm_fail(err, trm_status_of_errno(errno), "checkpoint '%s': %s", path, strerror(errno));
    char line[LINE_BYTES];
    trm_status status = trm_plain_read(checkpoint->file, named(path), line, LINE_BYTES, 0, err);
    if (status != TRM_OK)
        return status;
    const int64_t header = trm_checkpoint_file_header_bytes(line, LINE_BYTES);
    if (header < 0)
        return damaged(path, err);
    char *text = trm_alloc(header, 1);
    if (text == NULL)
        return trm_fail_memory(err, "the checkpoint's header", header, 1);
    status = trm_plain_read(checkpoint->file, named(path), text, header, 0, err);
    if (status == TRM_OK)
        checkpoint->header = trm_checkpoint_file_header(text, (size_t)header);
    trm_free(text);
    if (status == TRM_OK && checkpoint->header == NULL)
        status = damaged(path, err);
    return status;
}

/* The first option that differs. */
static const char *differing(json_t *a, json_t *b)
{
    const char *name;
    json_t *value;
    json_object_foreach(a, name, value)
    {
        if (!json_equal(value, json_object_get(b, name)))
            return name;
    }
    json_object_foreach(b, name, value)
    {
        if (json_object_get(a, name) == NULL)
            return name;
    }
    return NULL;
}

static void print_value(json_t *value, char *text, size_t size)
{
    const size_t length = value == NULL ? 0 : json_dumpb(value, text, size - 1, JSON_ENCODE_ANY);
    if (length > 0)
        text[length < size ? length : size - 1] = '\0';
}

static trm_status refuse_option(const char *path, const char *name, json_t *theirs, json_t *ours,
                                trm_error *err)
{
    char there[128] = "not given", here[128] = "not given";
    print_value(theirs, there, sizeof there);
    print_value(ours, here, sizeof here);
    return trm_fail(err, TRM_ERR_USAGE,
                    "checkpoint '%s' is of a job with other options: %s is %s there, %s here", path, name,
                    there, here);
}

static trm_status check_job(const trm_checkpoint_file *checkpoint, const trm_checkpoint_job *job,
                            trm_error *err)
{
    json_t *header = checkpoint->header, *ours = describe(job);
    const char *path = checkpoint->path, *name;
    trm_status status = TRM_OK;
    if (ours == NULL)
        return trm_fail_memory(err, "the checkpoint's header", 1, 1);
    json_t *version = json_object_get(header, "program_version"), *store = json_object_get(header, "store");
    json_t *options = json_object_get(header, "options");
    if (!json_is_string(version) || !json_is_object(store) || !json_is_object(options))
        status = damaged(path, err);
    else if (strcmp(json_string_value(version), job->version) != 0)
        status = trm_fail(err, TRM_ERR_DATA, "checkpoint '%s' was written by version %s, this is %s", path,
                          json_string_value(version), job->version);
    else if (!json_equal(json_object_get(header, "command"), json_object_get(ours, "command")))
        status = refuse_option(path, "the command", json_object_get(header, "command"),
                               json_object_get(ours, "command"), err);
    else if ((name = differing(options, job->options)) != NULL)
        status = refuse_option(path, name, json_object_get(options, name),
                               json_object_get(job->options, name), err);
    else if ((name = differing(store, json_object_get(ours, "store"))) != NULL)
        status =
            trm_fail(err, TRM_ERR_DATA,
                     "checkpoint '%s' is of another store, or of this one before it was changed: not the "
                     "same %s",
                     path, name);
    json_decref(ours);
    return status;
}

static json_t *find_array(const trm_checkpoint_file *checkpoint, const char *name)
{
    size_t index;
    json_t *array;
    json_array_foreach(json_object_get(checkpoint->header, "arrays"), index, array)
    {
        const char *its = json_string_value(json_object_get(array, "name"));
        if (its != NULL && strcmp(its, name) == 0)
            return array;
    }
    return NULL;
}

static int64_t integer_of(json_t *object, const char *name)
{
    return (int64_t)json_integer_value(json_object_get(object, name));
}

/* Reads this rank's share of every array and compares the hashes. */
static trm_status check_hashes(const trm_checkpoint_file *checkpoint, int threads, trm_error *err)
{
    const char *path = checkpoint->path;
    int ranks = 0;
    MPI_Comm_size(checkpoint->comm, &ranks);
    uint64_t *words = trm_alloc(PIECE_WORDS, sizeof *words);
    trm_status status =
        words == NULL ? trm_fail_memory(err, "a piece of checkpoint", PIECE_WORDS, WORD) : TRM_OK;
    status = trm_agree(checkpoint->comm, status, err);
    size_t index;
    json_t *array;
    json_array_foreach(json_object_get(checkpoint->header, "arrays"), index, array)
    {
        trm_hash_sum sum = TRM_HASH_SUM_INIT;
        char text[33];
        int64_t at, last;
        const char *name = json_string_value(json_object_get(array, "name"));
        const char *hash = json_string_value(json_object_get(array, "hash"));
        const int64_t total = integer_of(array, "words"), offset = integer_of(array, "offset");
        if (status != TRM_OK)
            break;
        if (name == NULL || hash == NULL || total < 0 || offset < 0 || total > INT64_MAX / WORD - offset) {
            status = damaged(path, err); /* the same on all ranks */
            break;
        }
        trm_share(total, trm_rank_of(checkpoint->comm), ranks, &at, &last);
        while (at < last && status == TRM_OK) {
            const int64_t count = last - at < PIECE_WORDS ? last - at : PIECE_WORDS;
            status =
                trm_plain_read(checkpoint->file, named(path), words, count * WORD, offset + at * WORD, err);
            if (status == TRM_OK)
                add_words(&sum, at, count, words, threads);
            at += count;
        }
        status = trm_agree(checkpoint->comm, status, err);
        trm_merge_hash_sum(checkpoint->comm, &sum);
        trm_hash_sum_text(&sum, text);
        if (status == TRM_OK && strcmp(text, hash) != 0)
            status = trm_fail(err, TRM_ERR_DATA,
                              "checkpoint '%s' is damaged: array '%s' does not have its hash", path, name);
    }
    trm_free(words);
    return status;
}

trm_status trm_checkpoint_file_open(MPI_Comm comm, const char *path, const trm_checkpoint_job *job,
                                    trm_checkpoint_file **result, trm_error *err)
{
    trm_checkpoint_file *checkpoint = trm_alloc_zero(1, sizeof *checkpoint);
    trm_status status = TRM_OK;
    if (checkpoint != NULL) {
        checkpoint->comm = comm;
        checkpoint->file = -1;
        checkpoint->path = trm_format("%s", path);
    }
    if (checkpoint == NULL || checkpoint->path == NULL)
        status = trm_fail_memory(err, "a checkpoint", 1, sizeof *checkpoint);
    if (status == TRM_OK)
        status = read_header(checkpoint, err);
    if (status == TRM_OK)
        status = check_job(checkpoint, job, err);
    status = trm_agree(comm, status, err);
    if (status == TRM_OK)
        status = check_hashes(checkpoint, job->threads, err);
    if (status != TRM_OK)
        trm_checkpoint_file_close(&checkpoint);
    *result = checkpoint;
    return status;
}

int64_t trm_checkpoint_file_size(const trm_checkpoint_file *checkpoint, const char *name)
{
    json_t *array = find_array(checkpoint, name);
    return array == NULL ? -1 : integer_of(array, "words");
}

trm_status trm_checkpoint_file_load(const trm_checkpoint_file *checkpoint, int parts,
                                    const trm_checkpoint_part *part, trm_error *err)
{
    trm_status status = TRM_OK;
    for (int i = 0; i < parts && status == TRM_OK; i++) {
        json_t *array = find_array(checkpoint, part[i].name);
        if (array == NULL || integer_of(array, "words") != part[i].total)
            status =
                trm_fail(err, TRM_ERR_DATA, "checkpoint '%s': array '%s' is missing or has another length",
                         checkpoint->path, part[i].name);
        else
            status =
                trm_plain_read(checkpoint->file, named(checkpoint->path), part[i].words, part[i].count * WORD,
                               integer_of(array, "offset") + part[i].first * WORD, err);
    }
    return trm_agree(checkpoint->comm, status, err);
}

void trm_checkpoint_file_close(trm_checkpoint_file **checkpoint)
{
    trm_checkpoint_file *old = *checkpoint;
    if (old == NULL)
        return;
    if (old->file >= 0)
        close(old->file);
    json_decref(old->header);
    trm_free(old->path);
    trm_free(old);
    *checkpoint = NULL;
}
