import tempfile as tempfile
