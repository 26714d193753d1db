/*
 * Debian's libelf.a is position independent but for one member, elf_error.o, whose thread-local
 * error number uses the local-exec model and cannot go into a shared object. These three stand in
 * for what it defines, so that the linker never pulls it. libbpf uses only the message.
 */
static _Thread_local int last_error;

void __libelf_seterrno(int value);
int elf_errno(void);
const char *elf_errmsg(int error);

void __libelf_seterrno(int value)
{
	last_error = value;
}

int elf_errno(void)
{
	int error = last_error;

	last_error = 0;
	return error;
}

const char *elf_errmsg(int error)
{
	return error == 0 ? 0 : "malformed ELF object";
}
