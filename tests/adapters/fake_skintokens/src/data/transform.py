class Transform:
    @classmethod
    def parse(cls, **kwargs):
        assert kwargs == {"sampler": "x"}
        return cls()
